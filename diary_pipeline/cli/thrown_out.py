"""What the checks threw out of the answer behind one note, in a sentence for `diary demo --llm`.

Read from the kept answer, which is text of the diary's owner: only counts and codes leave this file.
"""

from typing import TYPE_CHECKING

from diary_pipeline.core.llm_call import ACCEPTED, CACHED, Attempt
from diary_pipeline.settings import Settings

if TYPE_CHECKING:
    from diary_pipeline.wiring.deployment import Wiring


def thrown_out(settings: Settings, key: str) -> str:
    """Say how asking ended for a recording, and what became of the entries of the answer that was taken."""
    from diary_pipeline.ledger import llm_calls
    from diary_pipeline.wiring.deployment import Wiring

    wiring = Wiring(settings)
    with wiring.ledger.reading() as conn:
        attempts = llm_calls.attempts_of(conn, [key]).get(key, ())
    asked = ", ".join(f"{a.outcome} after {a.seconds:.0f} s" for a in attempts) or "no model was asked"
    taken = next((a for a in reversed(attempts) if a.outcome in (ACCEPTED, CACHED)), None)
    return f"{key}: {asked}{f'; {_entries(wiring, taken)}' if taken else ''}."


def _entries(wiring: "Wiring", taken: Attempt) -> str:
    from diary_pipeline.catalogue.read import transcript_of
    from diary_pipeline.ledger import recordings
    from diary_pipeline.notes.offline.notes import OfflineNotes
    from diary_pipeline.notes.routed.offered import offered
    from diary_pipeline.notes.routed.work import Work
    from diary_pipeline.notes.routing.ledger_memory import StoredAnswers
    from diary_pipeline.notes.writer import ToWrite

    s, key = wiring.settings, taken.recording_key
    with wiring.ledger.reading() as conn:
        (row,) = recordings.rows(conn, [key])
    transcript = transcript_of(wiring.ledger, wiring.store, key)
    answer = StoredAnswers(wiring.store).of(row.recording.owner, key).get(taken.answer_key)
    route = next((route for route in s.llm.routes if route.name == taken.route), None)
    if transcript is None or answer is None or route is None:
        return "its answer is not kept any more"
    work = Work(ToWrite(row.recording, transcript), OfflineNotes(s.owner, wiring.templates), s.llm.policy.redact)
    found = offered(answer.text, work, prose=work.publishes(route))
    dropped = ", ".join(f"{count} {code}" for code, count in found.dropped.items())
    return (
        f"of {found.entries} entries {found.published} came into the note{f', dropped: {dropped}' if dropped else ''}"
    )
