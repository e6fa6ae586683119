"""The transcript of one recording, as `diary show` prints it.

Rows and lines come from the published catalogue. The surprise: what goes into a file does not, it is read by ledger
pointer, because the published tables hold no words, and so it is there before anybody publishes.
"""

import sys
from typing import TYPE_CHECKING

from diary_pipeline.cli.output import as_dicts, say, shown

if TYPE_CHECKING:
    from pathlib import Path

    from diary_pipeline.catalogue.query import Answer
    from diary_pipeline.core.recording import Recording
    from diary_pipeline.ledger.connect import Ledger
    from diary_pipeline.settings import Settings

COLUMNS = (
    "segment_id, start_s, end_s, kind, text, raw_text, language, language_probability, reason, risks, rung, "
    "model_sha256, avg_logprob, no_speech_prob, compression_ratio, machine_text"
)


def published_segments(live: "Path", key: str) -> "Answer":
    """Return the rows of a recording's segments in order of time; none while no transcript is published."""
    from diary_pipeline.catalogue.query import query

    asked = f"SELECT {COLUMNS} FROM segments WHERE recording_key = ? ORDER BY segment_id"  # noqa: S608 - names above
    return query(live, asked, (key,))


def transcript_lines(segments: "Answer") -> list[str]:
    """Render what was said and what was not understood, safe to show in a terminal."""
    from diary_pipeline.catalogue.rows import segment_from
    from diary_pipeline.transcription.report import lines

    heard = [segment_from(row) for row in as_dicts(segments.columns, segments.rows)]
    return [shown(line) for line in lines(heard)]


def print_file(settings: "Settings", ledger: "Ledger", recording: "Recording", form: str) -> bool:
    """Print the current transcript as a file of that format holds it; False: there is none."""
    from diary_pipeline.catalogue.read import transcript_of
    from diary_pipeline.transcription.renderers.formats import RENDERERS
    from diary_pipeline.wiring.deployment import Wiring

    transcript = transcript_of(ledger, Wiring(settings).store, recording.key)
    if transcript is None:
        return False
    sys.stdout.write(RENDERERS[form](recording, transcript))
    if not transcript.text:
        say(f"{recording.file_name}: no words were understood in it.")
    return True
