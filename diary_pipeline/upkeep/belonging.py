"""Whether a store is this ledger's own, and there: asked by whoever would take an absent object for a lost one.

A disk that is not mounted is an empty folder, and a mistyped address another diary: without this question both look as
if everything had been lost. The store says whose it is in one small object.

What surprises: a store without that object is not always a stranger. Ledgers are older than this question, so one that
holds an object which this ledger committed is taken for its own, and so is one that began with the ledger.
"""

from collections.abc import Set

from diary_pipeline.core.errors import NotFound, ServiceMissing
from diary_pipeline.ledger import log_objects
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.identity import Identity, identity_of
from diary_pipeline.storage.keys import LEDGER_ID
from diary_pipeline.storage.store import ObjectStore

ASKED_FOR = 20
"""Objects of which one is enough; so many are not lost together but with the disk they are on."""
CLOCKS_APART_S = 60.0


def demand_own_store(ledger: Ledger, store: ObjectStore) -> None:
    """Raise ServiceMissing when a store is another ledger's (`store_not_ours`) or shows nothing at all (`store_away`).

    A store that says nothing yet and is this ledger's is told so for the next time.
    """
    with ledger.reading() as conn:
        mine, newest = identity_of(conn), log_objects.newest(conn, ASKED_FOR)
    try:
        said = store.get(LEDGER_ID).decode().strip()
    except NotFound:
        if newest and not any(store.exists(object_id) for object_id in newest):
            raise ServiceMissing(
                "store_away",
                "The object store shows none of what this ledger committed last: mount its disk, or correct "
                "DIARY_OBJECT_DIR or DIARY_BUCKET; if the objects are gone, put a backup back first.",
            ) from None
        if not newest and _is_older(store, mine):
            raise _not_ours() from None
        mark_own_store(ledger, store)
        return
    if said != mine.ledger_id:
        raise _not_ours()


def mark_own_store(ledger: Ledger, store: ObjectStore) -> None:
    """Say in a store that its objects are this ledger's, whatever it said before: after a backup was put back."""
    with ledger.reading() as conn:
        mine = identity_of(conn)
    store.put(LEDGER_ID, mine.ledger_id.encode())


def demand_store_of(store: ObjectStore, ledger_ids: Set[str]) -> None:
    """Raise ServiceMissing `store_not_ours` when a store says that it is a ledger's, and that is none of these."""
    try:
        said = store.get(LEDGER_ID).decode().strip()
    except NotFound:
        return
    if said not in ledger_ids:
        raise _not_ours()


def _is_older(store: ObjectStore, mine: Identity) -> bool:
    """Tell whether something was in the store before there was the ledger."""
    for key in store.list(""):
        try:
            if store.written_at(key) < mine.made_at - CLOCKS_APART_S:
                return True
        except NotFound:  # taken back since it was listed
            continue
    return False


def _not_ours() -> ServiceMissing:
    return ServiceMissing(
        "store_not_ours",
        "The object store belongs to another ledger: correct DIARY_LEDGER_URL, or the setting that names the store.",
    )
