"""How far a job is, stage by stage and as one number. Pure: what its row and the rows of its work say in, numbers out.

    download       100 once intake has taken it in; before that received of expected bytes, 0 when nobody knows them
    transcription  100 once the transcript it waits for is committed; before that seconds heard of seconds of audio
    notes          100 once the note is committed
    the whole      a tenth, seven tenths and two tenths of them; 100 says that the job has ended well, and nothing else

Listening takes by far the longest, and the bytes mostly are there before the job is. What surprises: a job that failed
or was cancelled keeps what it had come to, by the versions it got; its recording's work may be somebody else's by then.
"""

from collections.abc import Mapping
from dataclasses import dataclass

STAGES = ("download", "transcription", "notes")
SHARES: Mapping[str, int] = {"download": 10, "transcription": 70, "notes": 20}
DONE: Mapping[str, int] = dict.fromkeys(STAGES, 100)
ALMOST = 99


@dataclass(frozen=True)
class Standing:
    """What is known of a job that has not ended well."""

    has_ended: bool
    is_taken_in: bool
    received_bytes: int | None
    expected_bytes: int | None
    has_transcript: bool
    """Of those that have ended: it got one."""
    transcript_wanted: bool | None
    """None: no such work is known."""
    transcript_s: float | None
    """Seconds heard so far by whoever is at it."""
    audio_s: float | None
    note_wanted: bool | None


def stages(of: Standing) -> dict[str, int]:
    """Return 0 to 100 for each stage."""
    heard = of.has_transcript if of.has_ended else of.transcript_wanted is False
    noted = heard and not of.has_ended and of.note_wanted is False
    download = 100 if of.is_taken_in else _percent(of.received_bytes, of.expected_bytes)
    transcription = 100 if heard else 0 if of.has_ended else _percent(of.transcript_s, of.audio_s)
    return {"download": download, "transcription": transcription, "notes": 100 if noted else 0}


def whole(of_stages: Mapping[str, int]) -> int:
    """Return one number for a job that has not ended well."""
    return min(sum(SHARES[name] * of_stages[name] for name in STAGES) // 100, ALMOST)


def _percent(part: float | None, of: float | None) -> int:
    return min(int(100 * part / of), ALMOST) if part and of else 0
