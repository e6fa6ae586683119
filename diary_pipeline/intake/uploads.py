"""Uploads that nobody will come for: their submission has ended, was erased, or was never written down.

Whoever ends a submission removes its upload at once (near.py); this finds what a killed process left. The surprise: the
bytes come before the row, so an upload without a submission may be one that is being accepted at this moment.
"""

import time
from itertools import islice

from diary_pipeline.core.errors import NotFound
from diary_pipeline.ledger import submissions
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.storage.keys import UPLOADS
from diary_pipeline.storage.store import ObjectStore

_ACCEPTED_WITHIN_S = 86_400.0
_AT_ONCE = 500


def sweep_uploads(ledger: Ledger, store: ObjectStore) -> int:
    """Remove the uploads that nobody will come for, and return how many; reads what waits, and nothing that ended."""
    removed = 0
    keys = store.list(UPLOADS)
    while some := list(islice(keys, _AT_ONCE)):
        ids = {key: key.split("/")[1] for key in some}
        with ledger.reading() as conn:
            rows = {row.id: row for row in submissions.get(conn, list(ids.values()))}
        for key, id in ids.items():
            row = rows.get(id)
            if row.waits if row else _is_young(store, key):
                continue
            store.delete(key)
            removed += 1
    return removed


def _is_young(store: ObjectStore, key: str) -> bool:
    try:
        return time.time() - store.written_at(key) < _ACCEPTED_WITHIN_S
    except NotFound:
        return True  # another worker was faster
