"""Erasures that a restored backup knows nothing of: hidden in it again, and remembered.

Receipts tell of them (receipts.py); removing the bytes is erase.py's business, as of any erasure.

What surprises: a person who was erased whole is erased whole again, by name of the owner and not of what they had,
because the backup may hold it under other names: what was a submission then became a recording later.
"""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

from diary_pipeline.core.seal import Seal
from diary_pipeline.ledger import erasures, tombstones
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.erasures import Scope
from diary_pipeline.upkeep.receipts import Receipt, erasure_told, keep_receipt, write_receipt


def keep_begun(ledger: Ledger, seal: Seal, folder: Path) -> None:
    """Write a receipt for every erasure that is hidden and not finished.

    Without it nobody would know of them once the ledger is replaced.
    """
    with ledger.reading() as conn:
        begun = [(erasure, tombstones.of(conn, erasure.id)) for erasure in erasures.unfinished(conn)]
    for erasure, stones in begun:
        keep_receipt(folder, write_receipt(seal, erasure, None, stones, ()))


def hide_again(ledger: Ledger, seal: Seal, genuine: Sequence[Receipt]) -> int:
    """Hide what receipts say was erased, set up their tombstones, and return how many had come back."""
    returned = back_again(ledger, seal, genuine)
    for scope, target in returned:
        erasures.hide(ledger, seal, scope, target)
    for receipt in genuine:  # afterwards, so that tombstones wait for the erasure that removes the bytes
        erasures.take_over(ledger, seal, *erasure_told(receipt))
    return len(returned)


def back_again(ledger: Ledger, seal: Seal, genuine: Sequence[Receipt]) -> list[tuple[Scope, str]]:
    """Return what receipts say was erased and a backup brought back: people, recordings and refused submissions.

    What its owner let in again after the erasure is not among them. Reads all that the ledger knows.
    """
    subject_erased, owner_erased = _erased_at(genuine)
    with ledger.reading() as conn:
        known = erasures.known_since(conn)
    owners = {owner: owner_erased.get(erasures.target_hash(seal, "user", owner), 0.0) for _, owner, _ in known}
    stay = {owner for _, owner, at in known if at >= owners[owner]}
    found: dict[tuple[Scope, str], None] = {}
    for subject, owner, at in known:
        if owner not in stay:
            found["user", owner] = None
        elif at < max(owners[owner], subject_erased.get(erasures.subject_hash(seal, subject), 0.0)):
            found["recording", subject] = None
    return list(found)


def _erased_at(receipts: Sequence[Receipt]) -> tuple[dict[str, float], dict[str, float]]:
    """Return when subjects and people were erased last, by what stands for them."""
    subjects: dict[str, float] = {}
    people: dict[str, float] = {}
    for receipt in receipts:
        at = dt.datetime.fromisoformat(str(receipt["hidden_at"])).timestamp()
        named = receipt["subjects"]
        for hash in named if isinstance(named, list) else ():
            subjects[hash] = max(at, subjects.get(hash, at))
        if receipt["scope"] == "user":
            target = str(receipt["target"])
            people[target] = max(at, people.get(target, at))
    return subjects, people
