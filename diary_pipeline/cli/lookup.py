"""From what a person types to one recording: its key, the beginning or end of the key, or a submission's id."""

from pathlib import Path
from typing import TYPE_CHECKING

from diary_pipeline.core.errors import NotFound, UsageError

if TYPE_CHECKING:
    from diary_pipeline.ledger.connect import Ledger
    from diary_pipeline.ledger.recordings import RecordingRow
    from diary_pipeline.ledger.submissions import Submission

RECENT = 1000
"""So many of the last accepted recordings are looked through; older ones are found in the published catalogue."""
NAMED = 5
ENOUGH = 6
"""Characters of a submission's id: fewer may begin a date, too."""


def find(ledger: "Ledger", live: Path, said: str) -> "RecordingRow | Submission":
    """Return the one recording that is meant; a submission when it was refused or is not looked at yet."""
    from diary_pipeline.ledger import recordings, submissions

    with ledger.reading() as conn:
        if exact := recordings.rows(conn, [said]):
            return exact[0]
        if by_id := submissions.get(conn, submissions.starting(conn, said, 2) if len(said) >= ENOUGH else [said]):
            key = by_id[0].recording_key
            if len(by_id) == 1:
                return recordings.rows(conn, [key])[0] if key else by_id[0]
        recent = {row.recording.key for row in recordings.page(conn, limit=RECENT)}
        fitting = {key for key in recent if _fits(key, said)} | _published(live, said)
        keys = sorted(recordings.known(conn, sorted(fitting)))  # the file may show what was erased a moment ago
        match keys:
            case []:
                raise NotFound(
                    "recording_missing", f"No recording's key begins or ends with {said}; `diary notes` lists keys."
                )
            case [key]:
                return recordings.rows(conn, [key])[0]
            case _:
                more = f" and {len(keys) - NAMED} more" if len(keys) > NAMED else ""
                raise UsageError("key_ambiguous", f"{said} may be {', '.join(keys[:NAMED])}{more}: type more of it.")


def _fits(key: str, said: str) -> bool:
    return bool(said) and (key.startswith(said) or key.endswith(said))


def _published(live: Path, said: str) -> set[str]:
    from diary_pipeline.catalogue.query import query

    if not said or not live.exists():
        return set()
    fitting = "SELECT recording_key FROM recordings WHERE starts_with(recording_key, ?) OR ends_with(recording_key, ?)"
    return {row[0] for row in query(live, f"{fitting} LIMIT {RECENT}", (said, said)).rows}
