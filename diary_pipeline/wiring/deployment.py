"""One deployment whole: its stores and stages, and what looks after them together.

No rule lives here.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from diary_pipeline.ledger import erasures
from diary_pipeline.upkeep.backup import RECEIPTS
from diary_pipeline.upkeep.erase import Erase
from diary_pipeline.upkeep.exports import missing_exports
from diary_pipeline.upkeep.partitions import Partitions
from diary_pipeline.upkeep.places import (
    Elsewhere,
    ExportedFiles,
    KnownExports,
    Log,
    RefusedUploads,
    ScratchFiles,
    StoredObjects,
)
from diary_pipeline.upkeep.published import PublishedFiles
from diary_pipeline.upkeep.receipts import what_remains
from diary_pipeline.upkeep.reconcile import Reconciled, reconcile
from diary_pipeline.upkeep.reprocess import Reprocess
from diary_pipeline.upkeep.retain import Retention
from diary_pipeline.wiring.stores import SEAL_FILE
from diary_pipeline.wiring.ways_in import WaysIn

if TYPE_CHECKING:
    from diary_pipeline.upkeep.growth import Growth

DAY_S = 86_400.0
WEBHOOK_KEY_FILE = "webhook.key"
"""Receivers know what signs, and must not be told anew after a restore."""


class Wiring(WaysIn):
    """The objects of one deployment."""

    @cached_property
    def reconcile(self) -> Callable[..., Reconciled]:
        """What compares the stores, with what a refused upload is kept for; its other arguments are the caller's."""
        s = self.settings
        kept_s = s.refused_upload_days * 86_400
        return partial(reconcile, self.ledger, self.store, s.catalogue_file, refused_kept_s=kept_s)

    @cached_property
    def reprocess(self) -> Reprocess:
        """What looks chosen recordings over and plans those that are not current."""
        s = self.settings
        return Reprocess(
            self.ledger,
            self.store,
            s.catalogue_file,
            version_of=self.transcribe.version_of,
            writer=self.note_writer,
            owners=s.owner,
            forecast=self.forecast,
            allowed_models=s.allowed_models,
        )

    def erase(self, partitions: Partitions, compact: Callable[[], object]) -> Erase:
        """Give what finishes erasures; `compact` publishes and writes the catalogue anew, in a process of its own."""
        s, bucket = self.settings, self.bucket_store
        return Erase(
            self.ledger,
            self.seal,
            partitions,
            places=(
                PublishedFiles(self.ledger, compact),  # carries on no marts from before what was hidden
                Elsewhere("marts", lambda _: self.marts.forget()),  # after it: a build meanwhile may have read the old
                Log(self.ledger, self.store),
                StoredObjects(self.store),
                RefusedUploads(self.ledger, self.store),
                ScratchFiles(self.ledger, s.scratch_dir),
                *(() if bucket is None else (Elsewhere("copies", lambda _: bucket.forget_erased()),)),
                ExportedFiles({"notes": s.note_dir, "transcripts": s.transcript_dir}),
                KnownExports(s.home),
            ),
            receipts=self.receipt_dir,
            remains=lambda: what_remains(
                on_server=not s.ledger_url.startswith("sqlite"),
                in_bucket=bucket is not None,
                missing_exports=missing_exports(s.home),
            ),
        )

    @property
    def receipt_dir(self) -> Path:
        """Folder of the receipts of erasures."""
        return self.settings.home / "receipts"

    @property
    def backup_places(self) -> Mapping[str, Path]:
        """What belongs to a backup beside ledger and objects, by name."""
        s = self.settings
        exports = {"notes": s.note_dir, "transcripts": s.transcript_dir}
        keys = {name: s.home / name for name in (SEAL_FILE, WEBHOOK_KEY_FILE)}
        return {"dagster": s.dagster_home, **keys, RECEIPTS: self.receipt_dir, **exports}

    @property
    def derived_files(self) -> Sequence[Path]:
        """What is made from ledger and objects, and must not outlive another ledger."""
        s = self.settings
        files = (s.catalogue_file, s.marts_file, s.search_file)
        return [path for file in files for path in (file, *_beside(file))]

    @cached_property
    def retention(self) -> Retention:
        """What is kept for how long."""
        s = self.settings
        return Retention(
            self.ledger,
            self.store,
            s.usual_owner(s.default_owner),
            tuple(s.owners.values()),
            lambda key: erasures.hide(self.ledger, self.seal, "recording", key),
        )

    def growth(self, compact: Callable[[], object]) -> "Growth":
        """What keeps the catalogue small; `compact` rewrites the published file in a process of its own."""
        from diary_pipeline.upkeep.growth import Growth

        return Growth(self.ledger, self.store, self.publisher, compact, self.settings.rollback_days * DAY_S)


def _beside(file: Path) -> list[Path]:
    """Twins, locks and logs of a database file."""
    return [*file.parent.glob(f".{file.name}.*"), *file.parent.glob(f"{file.name}-*")]
