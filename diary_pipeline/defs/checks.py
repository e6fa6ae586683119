"""The four asset checks of a recording, and which single checks each of them gathers.

Four and not sixteen, because every event costs kilobytes at each recording; the single ones stand as a table in the
metadata. The claims themselves are computed by the stages; nothing is judged here.
"""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import dagster as dg

from diary_pipeline.core.batch import Check, Result
from diary_pipeline.defs.partitions import RECORDINGS
from diary_pipeline.notes.evidence.checks import NOTE_IS_FIT, NOTE_IS_SUPPORTED


@dataclass(frozen=True)
class CheckGroup:
    """One Dagster check: the asset it speaks of and the single checks it gathers."""

    name: str
    asset: str
    singles: tuple[str, ...]
    codes: tuple[str, ...]
    """How the codes begin of failures that this check speaks of."""
    description: str

    def spec(self) -> dg.AssetCheckSpec:
        """Return the declaration for the asset that computes it."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", dg.PreviewWarning)  # partitioned checks are preview in Dagster 1.13
            return dg.AssetCheckSpec(
                self.name, asset=self.asset, description=self.description, partitions_def=RECORDINGS, blocking=False
            )


GROUPS: tuple[CheckGroup, ...] = (
    CheckGroup(
        name="audio_is_sound",
        asset="raw_audio",
        singles=("audio_is_complete",),
        codes=("audio_",),
        description="The audio is all there and decodes.",
    ),
    CheckGroup(
        name="transcript_is_sound",
        asset="transcript",
        singles=("transcript_covers_audio", "transcript_is_plausible", "language_is_certain"),
        codes=("transcript_", "language_"),
        description="Every second is accounted for, and the text looks like speech.",
    ),
    CheckGroup(
        name="note_is_supported",
        asset="diary_note",
        singles=tuple(NOTE_IS_SUPPORTED),
        codes=("note_unsupported",),
        description="Nothing in the note was not said.",
    ),
    CheckGroup(
        name="note_is_fit",
        asset="diary_note",
        singles=tuple(NOTE_IS_FIT),
        codes=("note_incomplete",),
        description="The note is complete, and as long as it should be.",
    ),
)


def specs_for(assets: Iterable[str]) -> list[dg.AssetCheckSpec]:
    """Return the check declarations of the named assets."""
    wanted = set(assets)
    return [g.spec() for g in GROUPS if g.asset in wanted]


def evaluation(group: CheckGroup, result: Result) -> dg.AssetCheckEvaluation | None:
    """Judge one recording by one group: passed unless one of its single checks did.

    None where nothing was judged: nobody looked at the transcript of a recording whose audio failed, and a result that
    was found stored was judged when it was made. A failure that a group speaks of fails it by its code.
    """
    singles = [c for c in result.checks if c.name in group.singles]
    stopped = result.outcome == "failed" and (result.code or "").startswith(group.codes)
    if not singles and not stopped:
        return None
    bad = [c for c in singles if not c.passed]
    errors = [c for c in bad if c.severity == "ERROR"]
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(group.asset),
        check_name=group.name,
        passed=not bad and not stopped,
        severity=dg.AssetCheckSeverity.WARN if bad and not errors and not stopped else dg.AssetCheckSeverity.ERROR,
        partition=result.key,
        description=_sentence(bad, result if stopped else None),
        metadata=_metadata(singles, result),
    )


def _sentence(bad: Iterable[Check], stopped: Result | None) -> str:
    if stopped is not None:
        return f"{stopped.code}: {stopped.message}"
    return "; ".join(f"{c.name}: {c.detail}" if c.detail else c.name for c in bad)


def _metadata(singles: Iterable[Check], result: Result) -> Mapping[str, dg.MetadataValue]:
    records = [
        dg.TableRecord({"check": c.name, "passed": c.passed, "severity": c.severity, "detail": c.detail})
        for c in singles
    ]
    found: dict[str, dg.MetadataValue] = {}
    if records:
        found["checks"] = dg.MetadataValue.table(records)
    if result.code:
        found["code"] = dg.MetadataValue.text(result.code)
    return found
