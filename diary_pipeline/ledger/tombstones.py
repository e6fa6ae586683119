"""Tombstones: which audio its owner had erased, so that a file that still lies in a folder is not taken in again.

Whose and which audio it was cannot be read from them (core/seal.py). The surprise: tombstones of another secret are
worse than none, because they would let everything in again; asking about them is therefore refused.
"""

from collections.abc import Iterable

import sqlalchemy as sa

from diary_pipeline.core.errors import AudioRefused, ServiceMissing, UsageError
from diary_pipeline.core.seal import Seal
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.statements import insert_all_missing
from diary_pipeline.ledger.tables import erasures, tombstones

AUDIO_ERASED = "audio_erased"


def tombstone(seal: Seal, owner: str, content_sha256: str) -> str:
    """Return what stands for an owner's audio."""
    return seal.hash("tombstone", owner, content_sha256)


def set_up(tx: sa.Connection, seal: Seal, erasure_id: str, hashes: Iterable[str]) -> None:
    """Remember audio that was erased."""
    stones = [{"hash": hash, "seal_id": seal.id, "erasure_id": erasure_id} for hash in hashes]
    if stones:
        insert_all_missing(tx, tombstones, stones)


def stands(conn: sa.Connection, seal: Seal, owner: str, content_sha256: str) -> bool:
    """Tell whether an owner had this audio erased; ServiceMissing `erasure_key_missing` when the secret is another."""
    demand_seal(conn, seal)
    return is_there(conn, tombstone(seal, owner, content_sha256))


def is_there(conn: sa.Connection, hash: str) -> bool:
    """Tell whether a tombstone stands."""
    return conn.execute(sa.select(tombstones.c.hash).where(tombstones.c.hash == hash)).first() is not None


def refusal(file_name: str, owner: str) -> AudioRefused:
    """Return the refusal of audio that was erased."""
    return AudioRefused(
        AUDIO_ERASED,
        f"{file_name} was erased by {owner}; whoever runs this diary lets it in again with `diary erase --allow`.",
    )


def allow(ledger: Ledger, seal: Seal, owner: str, content_sha256: str) -> bool:
    """Forget a tombstone, so that the audio may come in again; False when there is none.

    UsageError `erasure_unfinished` before its bytes are removed: what came in would go with them.
    """
    with ledger.writing() as tx:
        demand_seal(tx, seal)
        mine = tombstones.c.hash == tombstone(seal, owner, content_sha256)
        going = sa.select(erasures.c.id).where(
            erasures.c.removed_at.is_(None), erasures.c.id == tombstones.c.erasure_id
        )
        if tx.execute(sa.select(tombstones.c.hash).where(mine, sa.exists(going))).first() is not None:
            raise UsageError(
                "erasure_unfinished",
                "Its erasure is not finished yet; wait until `diary erase --receipts` shows the receipt.",
            )
        return tx.execute(tombstones.delete().where(mine)).rowcount > 0


def demand_seal(conn: sa.Connection, seal: Seal) -> None:
    """Raise ServiceMissing when tombstones stand that another secret made; two looks into an index."""
    ends = conn.execute(sa.select(sa.func.min(tombstones.c.seal_id), sa.func.max(tombstones.c.seal_id))).one()
    if set(ends) - {None, seal.id}:
        raise ServiceMissing(
            "erasure_key_missing",
            "This ledger holds tombstones of erased audio that another secret made: set DIARY_ERASURE_KEY to what "
            "stands in erasure.key where audio was erased first.",
        )


def of(conn: sa.Connection, erasure_id: str) -> list[str]:
    """Return the tombstones that an erasure set up."""
    return list(conn.execute(sa.select(tombstones.c.hash).where(tombstones.c.erasure_id == erasure_id)).scalars())
