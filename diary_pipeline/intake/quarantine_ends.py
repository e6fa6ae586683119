"""How a trouble leaves the quarantine, with the bytes of an upload that was refused.

What the ledger makes of one that leaves stands in the file of the same name there. The surprise: an upload that is
tried again is copied first, because its new job has a new id, and bytes come before rows. Each goes by itself, so that
a full disk holds one copy too many at most.
"""

import uuid
from collections.abc import Sequence

from diary_pipeline.core.errors import NotFound
from diary_pipeline.ledger import quarantine_ends
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.quarantine_ends import TriedAgain
from diary_pipeline.storage.keys import upload_key
from diary_pipeline.storage.store import ObjectStore


def retry(ledger: Ledger, store: ObjectStore, ids: Sequence[str], owner: str | None = None) -> list[TriedAgain]:
    """Have troubles tried again, see the ledger's; an upload whose bytes are gone is left out.

    ServiceMissing or OSError when an upload cannot be copied; what came before it goes on.
    """
    with ledger.reading() as conn:
        uploads = quarantine_ends.uploads_among(conn, ids, owner)
    done = quarantine_ends.retry(ledger, ids, owner)
    for id in uploads:
        done += _retry_upload(ledger, store, id, owner)
    return done


def drop(ledger: Ledger, store: ObjectStore, ids: Sequence[str], by: str, owner: str | None = None) -> list[str]:
    """Let troubles leave the view, see the ledger's, and an upload's bytes with them."""
    with ledger.reading() as conn:
        uploads = quarantine_ends.uploads_among(conn, ids, owner)
    dropped = quarantine_ends.drop(ledger, ids, by, owner)
    for id in set(uploads).intersection(dropped):
        store.delete(upload_key(id))
    return dropped


def _retry_upload(ledger: Ledger, store: ObjectStore, id: str, owner: str | None) -> list[TriedAgain]:
    new = uuid.uuid4().hex
    try:
        store.put_file(upload_key(new), store.path(upload_key(id)))
    except (NotFound, FileNotFoundError):
        return []
    # A kill before the rows, or an answer of the ledger that is lost: reconciling removes what no job knows.
    done = quarantine_ends.retry_upload(ledger, id, new, owner)
    store.delete(upload_key(id if done else new))
    return done
