"""Which notes would be written otherwise today, why, and planning them; writing them is batch.py's business.

The ledger finds and plans them, the configured writer says what is current. The surprise: a prompt's version is a hash,
so of a note made with words that are gone nobody can tell whether they stood in our files or in a template.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from diary_pipeline.core.correction import EDITED
from diary_pipeline.core.note import DEGRADED
from diary_pipeline.core.owner import Owner
from diary_pipeline.ledger import stale
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.stale import StaleGroup
from diary_pipeline.notes.writer import NoteWriter, OwnerOf

Reason = Literal["degraded", "edited", "writer", "template", "prompt"]
"""It stands in for a better one; its owner has corrected since what was said in it; language models write now, or no
longer do; its owner, or their language, has another template now; the words of a question or of a template changed."""
OFFLINE = "offline-"


@dataclass(frozen=True)
class Stale:
    """Notes of one owner that are stale for one reason."""

    reason: Reason
    group: StaleGroup


class StaleNotes:
    """The stale notes of a deployment."""

    def __init__(self, ledger: Ledger, writer: NoteWriter, owners: OwnerOf, templates: Sequence[str] = ()) -> None:
        """`templates`: the names that owners may choose among."""
        self._ledger = ledger
        self._writer = writer
        self._owners = owners
        self._templates = templates

    @property
    def _upgrades(self) -> bool:
        return self._writer.writer == "llm"

    def plan(self, limit: int) -> int:
        """Have stale notes written again, as many as keep `limit` notes waiting, and return how many that are."""
        return stale.plan_stale(self._ledger, self._current_of, limit, upgrades=self._upgrades)

    def counted(self, owner: str | None = None) -> list[Stale]:
        """Count the stale notes of an owner, or of all."""
        with self._ledger.reading() as conn:
            found = stale.stale_notes(conn, self._current_of, upgrades=self._upgrades)
            groups = [stale.counted(conn, made) for made in found if owner in (None, made.owner)]
        return [Stale(self._reason(group), group) for group in groups]

    def newest(self, group: StaleGroup, limit: int) -> list[str]:
        """Give recordings of a group, the latest day first."""
        with self._ledger.reading() as conn:
            return stale.newest(conn, group, limit)

    def _current_of(self, owner: str) -> frozenset[str]:
        return self._writer.prompt_versions(self._owners(owner))

    def _reason(self, group: StaleGroup) -> Reason:
        if group.made_with.startswith(DEGRADED):
            return "degraded"
        if group.made_with == EDITED:
            return "edited"
        if group.made_with.startswith(OFFLINE) == self._upgrades:
            return "writer"
        forms = (self._writer.prompt_versions(other) for other in self._otherwise(self._owners(group.owner)))
        return "template" if any(group.made_with in versions for versions in forms) else "prompt"

    def _otherwise(self, owner: Owner) -> Iterator[Owner]:
        """Give the owner as they may have been configured before."""
        for template in (None, *self._templates):
            for language in dict.fromkeys((owner.note_language, None)):
                yield replace(owner, template=template, note_language=language)
