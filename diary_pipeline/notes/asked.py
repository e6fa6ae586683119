"""Recordings with what was said in them: what a writer is handed, and what an estimate counts."""

from collections.abc import Sequence

from diary_pipeline.catalogue.read import transcripts_of
from diary_pipeline.ledger import recordings
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.notes.writer import ToWrite
from diary_pipeline.storage.store import ObjectStore


def asked_again(ledger: Ledger, store: ObjectStore, keys: Sequence[str]) -> list[ToWrite]:
    """Give recordings whose notes would be written again; those without a transcript are left out."""
    said = transcripts_of(ledger, store, keys)
    with ledger.reading() as conn:
        rows = recordings.rows(conn, list(said))
    return [ToWrite(row.recording, said[row.recording.key], again=True) for row in rows]
