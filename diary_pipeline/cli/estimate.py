"""What notes would take, for commands that tell it before anything is spent: transcripts read, questions counted."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diary_pipeline.notes.routed.forecast import Forecast
    from diary_pipeline.notes.writer import ToWrite
    from diary_pipeline.wiring import Wiring


def to_write(wiring: "Wiring", keys: Sequence[str]) -> "list[ToWrite]":
    """Give recordings with what was said in them; those without a transcript are left out."""
    from diary_pipeline.catalogue.read import corrections_of, transcripts_of
    from diary_pipeline.core.correction import Corrections
    from diary_pipeline.ledger import recordings
    from diary_pipeline.notes.writer import ToWrite

    said = transcripts_of(wiring.ledger, wiring.store, keys)
    put_right = corrections_of(wiring.ledger, wiring.store, keys)
    with wiring.ledger.reading() as conn:
        found = [row.recording for row in recordings.rows(conn, list(said))]
    return [ToWrite(r, said[r.key], again=True, corrections=put_right.get(r.key, Corrections())) for r in found]


def forecast_of(wiring: "Wiring", asked: "Sequence[ToWrite]") -> "Forecast":
    """Say what these notes would take, on the routes that have what a call needs."""
    from diary_pipeline.notes.offline.notes import OfflineNotes
    from diary_pipeline.notes.routed.forecast import Asked, forecast
    from diary_pipeline.notes.routed.notes import Wishes
    from diary_pipeline.notes.routing.choosing import Policy
    from diary_pipeline.notes.routing.ledger_memory import LedgerMemory, StoredAnswers

    s, policy = wiring.settings, wiring.settings.llm.policy
    standings = LedgerMemory(wiring.ledger).standings([route.name for route in s.llm.usable])
    return forecast(
        asked,
        Asked(
            s.llm.usable,
            standings,
            StoredAnswers(wiring.store).of,
            s.owner,
            OfflineNotes(s.owner, wiring.templates),
            Wishes(policy.redact, policy.local_only, policy.judge),
            Policy(policy.usd_per_second, policy.patience_s, policy.deadline_s, policy.tries),
        ),
    )
