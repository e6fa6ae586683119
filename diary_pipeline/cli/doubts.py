"""Published recordings that failed a check: nothing invented may look like any other note or transcript."""

from collections.abc import Mapping, Sequence
from pathlib import Path

NEXT: Mapping[str, str] = {
    "transcript_is_plausible": "; hand it in with its language (`--language`), without a forced one, or with a larger "
    "model (`--model`)",
    "language_is_certain": "; hand it in with its language (`--language`)",
}
"""What a reader may do about a failed check."""


def doubts(live: Path, names: Mapping[str, str], *, of_transcript: bool = False) -> Sequence[str]:
    """Give a sentence for each failed check of severity ERROR; `names`: recording key -> what to call it.

    `of_transcript`: those of the transcript instead, warnings too, because its reader wants to know each.
    """
    from diary_pipeline.catalogue.query import query

    if not names or not live.exists():
        return []
    which = "stage = 'transcript'" if of_transcript else "severity = 'ERROR'"
    asked = f"SELECT recording_key, check_name, detail FROM checks WHERE NOT passed AND {which}"  # noqa: S608
    found = query(live, f"{asked} AND list_contains(?, recording_key) ORDER BY ALL", (list(names),))
    return [
        f"{names[str(key)]}: doubtful, {check} failed ({detail}){NEXT.get(str(check), '')}"
        for key, check, detail in found.rows
    ]
