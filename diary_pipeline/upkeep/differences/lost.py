"""Objects whose bytes are gone: what they held is made again where it can be, and pointed to again when they are back.

What surprises: nothing is forgotten before something else has taken its place. A pointer lets go of a lost object and
the ledger still knows where it lay, so a disk that comes back after an hour costs some work and no diary.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from diary_pipeline.catalogue.log_object import write_object
from diary_pipeline.catalogue.rewrite import remove_replaced
from diary_pipeline.catalogue.rows import arrow_tables, refusal_row
from diary_pipeline.core.recording import Recording
from diary_pipeline.ledger import log_objects, mending, recordings, submissions
from diary_pipeline.ledger.log_objects import Holding, LogObject, NewObject
from diary_pipeline.storage.keys import AUDIO, catalogue_object_id
from diary_pipeline.upkeep.belonging import demand_own_store
from diary_pipeline.upkeep.differences.finding import Finding, Look


def mended(look: Look, gone: Sequence[str]) -> Iterator[Finding]:
    """Have made again what absent objects held, or leave them all alone when they are too many to be an accident."""
    with look.ledger.reading() as conn:
        absent = [commit for i in gone if (commit := log_objects.commit_of(conn, i)) is not None]
        needed = mending.pointed_to(conn, [commit.object_id for commit in absent])
    if needed:
        demand_own_store(look.ledger, look.store)  # once more: it may have gone away since
    if len(needed) > look.most_lost:
        told = (
            f"{len(needed)} objects are missing at once: see to the store, or put a backup back; if they are gone for "
            f"good, `diary reconcile --most-lost {len(needed)}` has made again what they held"
        )
        yield from (Finding("missing_object", object_id, "left", told) for object_id in sorted(needed))
        return
    for commit in absent:
        yield from _mend(look, commit) if commit.object_id in needed else _forget(look, commit)


def back_again(look: Look) -> Iterator[Finding]:
    """Point again to objects that were lost and are there, where nothing else has taken their place yet."""
    with look.ledger.reading() as conn:
        let_go = log_objects.let_go(conn)
    there = {i: look.store.exists(i) for i in {h.object_id for h in let_go}}
    # A note may have been let go of because the outcome that belongs to it is lost.
    waiting = {h.subject for h in let_go if not there[h.object_id]}
    back: dict[str, list[Holding]] = defaultdict(list)
    for h in let_go:
        if h.subject not in waiting:
            back[h.object_id].append(h)
    for object_id, held in sorted(back.items()):
        if not look.dry_run:
            mending.point_back(look.ledger, held)
        told = f"its bytes are back: what it holds of {len({h.subject for h in held})} recordings is shown again"
        yield Finding("missing_object", object_id, look.mended, told)


def _mend(look: Look, commit: LogObject) -> Iterator[Finding]:
    object_id = commit.object_id
    if commit.kind == "correction":
        told = "corrections are only there: restore the object from a backup"
        yield Finding("missing_object", object_id, "left", told)
        return
    if commit.kind == "outcome":
        told = (
            "refusals are to be written again"
            if look.dry_run
            else f"{_told_again(look, commit)} refusals written again"
        )
        yield Finding("missing_object", object_id, look.mended, told)
        return
    with look.ledger.reading() as conn:
        plan = mending.plan_of(conn, object_id)
        unheard = [row.recording for row in recordings.rows(conn, plan.transcripts)]
    silent = {r.key for r in unheard if not _can_be_heard(look, r)}
    if not look.dry_run:
        plan = mending.plan_lost(look.ledger, object_id, silent)
    transcripts = [key for key in plan.transcripts if key not in silent]
    if transcripts or plan.notes:
        told = f"planned again: {len(transcripts)} transcripts, {len(plan.notes)} notes"
        yield Finding("missing_object", object_id, look.mended, told)
    if silent:
        told = f"{len(silent)} recordings have no audio to hear again: restore the object from a backup"
        yield Finding("missing_object", object_id, "left", told)


def _can_be_heard(look: Look, recording: Recording) -> bool:
    if recording.audio_removed:
        return False
    return not recording.object_key.startswith(AUDIO) or look.store.exists(recording.object_key)


def _forget(look: Look, commit: LogObject) -> Iterator[Finding]:
    if look.dry_run:
        with look.ledger.reading() as conn:
            is_over = mending.is_replaced(conn, commit.object_id)
    else:
        is_over = mending.forget_lost(look.ledger, commit.object_id)
    if is_over:
        told = "something newer has taken the place of all that it held; it is forgotten"
        yield Finding("missing_object", commit.object_id, look.mended, told)


def _told_again(look: Look, commit: LogObject) -> int:
    """Write the refusals of a lost object anew: the ledger holds all there is to tell of them."""
    with look.ledger.reading() as conn:
        held = log_objects.holdings(conn, [commit.object_id])
        refused = submissions.get(conn, [h.subject for h in held])
    there = {s.id for s in refused}
    new: list[NewObject] = []
    if refused:
        object_id = catalogue_object_id(commit.kind)
        size = write_object(look.store, object_id, arrow_tables([{"recordings": [refusal_row(s) for s in refused]}]))
        new = [NewObject(object_id, size, [h for h in held if h.subject in there])]
    if not log_objects.replace(look.ledger, [commit.object_id], held, new):
        for n in new:
            look.store.delete(n.object_id)
        return 0
    remove_replaced(look.ledger, look.store)
    return len(refused)
