"""Published recordings that failed a check: nothing invented may look like any other note or transcript."""

from collections.abc import Mapping, Sequence
from pathlib import Path


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
    return [f"{names[str(key)]}: doubtful, {check} failed ({detail})" for key, check, detail in found.rows]
