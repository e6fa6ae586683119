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
from diary_pipeline.notes.checks import NOTE_IS_FIT, NOTE_IS_SUPPORTED


@dataclass(frozen=True)
class CheckGroup:
    """One Dagster check: the asset it speaks of and the single checks it gathers."""

    name: str
    asset: str
    singles: tuple[str, ...]
    description: str

    def spec(self) -> dg.AssetCheckSpec:
        """Return the declaration for the asset that computes it."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", dg.PreviewWarning)  # partitioned checks are preview in Dagster 1.13
            return dg.AssetCheckSpec(
                self.name, asset=self.asset, description=self.description, partitions_def=RECORDINGS, blocking=False
            )


GROUPS: tuple[CheckGroup, ...] = (
    CheckGroup("audio_is_sound", "raw_audio", ("audio_is_complete",), "The audio is all there and decodes."),
    CheckGroup(
        "transcript_is_sound",
        "transcript",
        ("transcript_covers_audio", "transcript_is_plausible", "language_is_certain"),
        "Every second is accounted for, and the text looks like speech.",
    ),
    CheckGroup("note_is_supported", "diary_note", tuple(NOTE_IS_SUPPORTED), "Nothing in the note was not said."),
    CheckGroup("note_is_fit", "diary_note", tuple(NOTE_IS_FIT), "The note is complete, and as long as it should be."),
)


def specs_for(assets: Iterable[str]) -> list[dg.AssetCheckSpec]:
    """Return the check declarations of the named assets."""
    wanted = set(assets)
    return [g.spec() for g in GROUPS if g.asset in wanted]


def evaluation(group: CheckGroup, result: Result) -> dg.AssetCheckEvaluation:
    """Judge one recording by one group: passed unless one of its single checks failed with severity ERROR.

    A recording that failed before a check could be made fails the group with its code.
    """
    singles = [c for c in result.checks if c.name in group.singles]
    errors = [c for c in singles if not c.passed and c.severity == "ERROR"]
    stopped = result.outcome == "failed" and not errors
    bad = [c for c in singles if not c.passed]
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(group.asset),
        check_name=group.name,
        passed=not bad and not stopped,
        severity=dg.AssetCheckSeverity.WARN if bad and not errors else dg.AssetCheckSeverity.ERROR,
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
