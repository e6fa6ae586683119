"""What upkeep needs of Dagster, in our words. Made in defs/wipe/ and handed out by definitions.partitions()."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Named:
    """What may stand in Dagster's storage of something that is to be erased."""

    subjects: frozenset[str]
    """Recording keys and submission ids."""
    uris: frozenset[str]
    """Where it was handed in from: the run config of the job `ingest` holds paths."""
    owners: frozenset[str]
    """People of whom everything goes; empty when single recordings do."""


class Partitions(Protocol):
    """Recordings as partitions, with everything that was ever told of them."""

    def unfinished_runs(self, named: Named) -> int:
        """Count the runs that name one of them and have not ended: they would write of it again."""
        ...

    def count(self, named: Named) -> Mapping[str, int]:
        """Count what names them, by kind."""
        ...

    def forget(self, named: Named) -> None:
        """Remove all of it; the runs of other recordings stay whole. May be repeated."""
        ...
