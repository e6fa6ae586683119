"""Recordings with what was said in them: what a writer is handed, and what an estimate counts."""

from collections.abc import Sequence

from diary_pipeline.catalogue.read import corrections_of, transcripts_of
from diary_pipeline.core.correction import Corrections
from diary_pipeline.ledger import recordings
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.notes.writer import ToWrite
from diary_pipeline.storage.store import ObjectStore


def asked_again(ledger: Ledger, store: ObjectStore, keys: Sequence[str]) -> list[ToWrite]:
    """Give recordings whose notes would be written again; those without a transcript are left out."""
    said, put_right = transcripts_of(ledger, store, keys), corrections_of(ledger, store, keys)
    with ledger.reading() as conn:
        found = [row.recording for row in recordings.rows(conn, list(said))]
    return [ToWrite(r, said[r.key], again=True, corrections=put_right.get(r.key, Corrections())) for r in found]
