"""The receipt of an erasure: what was removed where, and when; signed, and without a name in it.

It is a row of the ledger and a file below DIARY_HOME, so that a restored backup, which knows nothing of the erasure,
can be told of it again (again.py).

What surprises: recordings are named by keyed hashes. Who holds the secret and a recording can ask a receipt whether it
is about that one; nobody can read a key or a person out of it.
"""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from diary_pipeline.core.seal import Seal
from diary_pipeline.ledger.erasures import TOGETHER, Erasure
from diary_pipeline.storage.private import write_private

Receipt = Mapping[str, object]
FORMAT = 1


def write_receipt(
    seal: Seal, erasure: Erasure, removed_at: float | None, tombstones: Sequence[str], remains: Sequence[str]
) -> Receipt:
    """Return the signed receipt of an erasure whose bytes are gone; `removed_at` None: it is only hidden so far.

    `remains`: sentences about what this deployment cannot remove, or does not. `counted_together` says of how many
    erasures `removed` tells, but for the ledger's rows, which are this one's alone.
    """
    found = dict(erasure.found)
    together = found.pop(TOGETHER, {})
    document: dict[str, object] = {
        "receipt": FORMAT,
        "erasure_id": erasure.id,
        "scope": erasure.scope,
        "target": erasure.target_hash,
        "subjects": erasure.receipt["subjects"],
        "tombstones": sorted(tombstones),
        "hidden_at": _instant(erasure.hidden_at),
        "bytes_removed_at": None if removed_at is None else _instant(removed_at),
        "removed": {} if removed_at is None else {s: dict(sorted(n.items())) for s, n in sorted(found.items())},
        "counted_together": together.get("erasures", 1),
        "remains": list(remains),
        "seal": seal.id,
    }
    return {**document, "signature": seal.sign(document)}


def is_genuine(seal: Seal, receipt: Receipt) -> bool:
    """Tell whether this deployment wrote the receipt and nobody changed it since."""
    unsigned = {name: value for name, value in receipt.items() if name != "signature"}
    return seal.has_signed(unsigned, str(receipt.get("signature", "")))


def keep_receipt(folder: Path, receipt: Receipt) -> None:
    """Write a receipt as a file of its own; that of the same erasure is replaced."""
    write_private(folder / f"{receipt['erasure_id']}.json", json.dumps(receipt, indent=2).encode() + b"\n")


def erasure_told(receipt: Receipt) -> tuple[Erasure, Sequence[str]]:
    """Return the erasure that a genuine receipt tells of, and its tombstones."""
    told: Mapping[str, Any] = receipt
    removed_at = told["bytes_removed_at"]
    erasure = Erasure(
        id=told["erasure_id"],
        scope=told["scope"],
        target_hash=told["target"],
        hidden_at=_seconds(told["hidden_at"]),
        hidden_seq=0,  # a number of another ledger's clock
        waits_for=(),
        found=told["removed"],
        removed_at=None if removed_at is None else _seconds(removed_at),
        receipt=receipt,
    )
    return erasure, told["tombstones"]


def what_remains(*, on_server: bool, in_bucket: bool, missing_exports: int) -> list[str]:
    """Say what an erasure cannot remove, or does not; `on_server`: the ledger, or Dagster's storage, is PostgreSQL."""
    said = [
        "Files that recordings were handed in from, and copies of exports: they are not ours to delete.",
        "Backups from before: restoring one applies this receipt again.",
        "A catalogue that a reader opened before: until it closes the file.",
        "Blocks of deleted files: until the disk uses them again.",
    ]
    if missing_exports:
        said.append(f"{missing_exports} exports that are not where they were made: what they hold, wherever it is now.")
    if on_server:
        said.append("Other machines: temporary folders diary-commit-* that a killed process left there.")
        said.append(
            "PostgreSQL: names and keys, never diary text, in freed space of pages until it is used again or VACUUM "
            "FULL has run, and in the write-ahead log until its segments are recycled or their archive expires."
        )
    if in_bucket:
        said.append("The bucket: older generations and soft-deleted objects, for as long as its rules keep them.")
    return said


def _seconds(instant: str) -> float:
    return dt.datetime.fromisoformat(instant).timestamp()


def _instant(at: float) -> str:
    return dt.datetime.fromtimestamp(at, dt.UTC).isoformat(timespec="milliseconds")
