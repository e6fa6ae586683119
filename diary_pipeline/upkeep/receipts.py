"""The receipt of an erasure: what was removed where, and when; signed, and without a name in it.

Pure but for reading the ledger. It is a row of the ledger and a file below DIARY_HOME, so that a restored backup, which
knows nothing of the erasure, can be told of it again.

What surprises: recordings are named by keyed hashes. Who holds the secret and a recording can ask a receipt whether it
is about that one; nobody can read a key or a person out of it.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence

from diary_pipeline.core.seal import Seal
from diary_pipeline.ledger import erasures
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.erasures import Erasure

Receipt = Mapping[str, object]
FORMAT = 1


def write_receipt(
    seal: Seal, erasure: Erasure, removed_at: float, tombstones: Sequence[str], remains: Sequence[str]
) -> Receipt:
    """Return the signed receipt of an erasure whose bytes are gone.

    `remains`: sentences about what this deployment cannot remove, or does not. `counted_together` says of how many
    erasures `removed` tells, but for the ledger's rows, which are this one's alone.
    """
    found = dict(erasure.found)
    together = found.pop(erasures.TOGETHER, {})
    document: dict[str, object] = {
        "receipt": FORMAT,
        "erasure_id": erasure.id,
        "scope": erasure.scope,
        "target": erasure.target_hash,
        "subjects": erasure.receipt["subjects"],
        "tombstones": sorted(tombstones),
        "hidden_at": _instant(erasure.hidden_at),
        "bytes_removed_at": _instant(removed_at),
        "removed": {store: dict(sorted(counts.items())) for store, counts in sorted(found.items())},
        "counted_together": together.get("erasures", 1),
        "remains": list(remains),
        "seal": seal.id,
    }
    return {**document, "signature": seal.sign(document)}


def is_genuine(seal: Seal, receipt: Receipt) -> bool:
    """Tell whether this deployment wrote the receipt and nobody changed it since."""
    unsigned = {name: value for name, value in receipt.items() if name != "signature"}
    return seal.has_signed(unsigned, str(receipt.get("signature", "")))


def back_again(ledger: Ledger, seal: Seal, receipts: Iterable[Receipt]) -> list[str]:
    """Return the recordings and refused submissions that receipts say were erased, and that a backup brought back.

    What its owner let in again after the erasure is not among them. Reads all that the ledger knows.
    """
    erased_at: dict[str, float] = {}
    for receipt in receipts:
        at = dt.datetime.fromisoformat(str(receipt["hidden_at"])).timestamp()
        subjects = receipt["subjects"]
        for hash in subjects if isinstance(subjects, list) else ():
            erased_at[hash] = max(at, erased_at.get(hash, at))
    with ledger.reading() as conn:
        known = erasures.known_since(conn)
    return [subject for subject, at in known.items() if at < erased_at.get(erasures.subject_hash(seal, subject), at)]


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


def _instant(at: float) -> str:
    return dt.datetime.fromtimestamp(at, dt.UTC).isoformat(timespec="milliseconds")
