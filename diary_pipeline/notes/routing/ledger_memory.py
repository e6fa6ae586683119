"""What memory.py names, kept where all processes of a deployment see it: in the ledger and in the object store.

Rules about caps and cool-downs are the ledger's (ledger/spend.py, ledger/llm_calls.py); choosing is the router's.

What surprises: an answer is the only text that is kept of a call. It lies under its recording and its owner, so that it
is erased with either, and nobody's answer is ever given for another person's question, were the two the same.
"""

import time
from collections.abc import Callable, Iterable, Mapping

from pydantic import TypeAdapter

from diary_pipeline.core.errors import NotFound
from diary_pipeline.core.llm_call import Attempt
from diary_pipeline.ledger import llm_calls, spend
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.statements import now
from diary_pipeline.notes.providers.exchange import Completion
from diary_pipeline.notes.routing.memory import Answers, Hold, Standing
from diary_pipeline.observability.logs import log
from diary_pipeline.storage.keys import answers_prefix, checked_key
from diary_pipeline.storage.store import ObjectStore

_ANSWER = TypeAdapter(Completion)

logger = log(__name__)


class LedgerMemory:
    """RouteMemory of a deployment."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._ahead_s: float | None = None
        """Of the ledger's clock before this process's, so that `now` need not ask the database each time."""

    def now(self) -> float:
        """Give the ledger's clock."""
        if self._ahead_s is None:
            with self._ledger.reading() as conn:
                self._ahead_s = now(conn) - time.monotonic()
        return time.monotonic() + self._ahead_s

    def standings(self, routes: Iterable[str]) -> Mapping[str, Standing]:
        """Give what all processes have seen over the last 30 days."""
        with self._ledger.reading() as conn:
            self._ahead_s = now(conn) - time.monotonic()  # this process may have been asleep
            found = llm_calls.records(conn, routes)
        return {
            name: Standing(r.tried, r.accepted, _mean_s(r.answered, r.answer_seconds), r.failures, r.cool_until)
            for name, r in found.items()
        }

    def record(self, attempt: Attempt) -> None:
        """Remember an attempt."""
        llm_calls.record(self._ledger, attempt)

    def cool(self, route: str, until: float, failures: int) -> None:
        """Let no process call a route until then."""
        llm_calls.cool(self._ledger, route, until, failures)


class LedgerPurse:
    """Purse of one run, under the caps of the deployment and of each owner."""

    def __init__(
        self,
        ledger: Ledger,
        run: str,
        *,
        run_usd: float | None = None,
        day_usd: float | None = None,
        owner_day_usd: Callable[[str], float | None] = lambda _: None,
    ) -> None:
        """`run` names who shares `run_usd`; None: no cap."""
        self._ledger = ledger
        self._run = run
        self._run_usd = run_usd
        self._day_usd = day_usd
        self._owner_day_usd = owner_day_usd
        self._told: set[tuple[str, str]] = set()

    def hold(self, owner: str, usd: float) -> Hold | None:
        """Set the worst case of a call aside; None when a cap forbids it, which is logged once for each cap."""
        caps = spend.Caps(run=self._run_usd, day=self._day_usd, owner=self._owner_day_usd(owner))
        found = spend.hold(self._ledger, owner=owner, run=self._run, usd=usd, caps=caps)
        if isinstance(found, str):
            return Hold(found, usd)
        reached = (found.scope, owner if found.scope == "owner" else "")
        if reached not in self._told:
            self._told.add(reached)
            logger.warning("llm_budget_reached", scope=found.scope, cap_usd=getattr(caps, found.scope), run=self._run)
        return None

    def settle(self, hold: Hold, usd: float) -> None:
        """Say what the call cost in the end."""
        spend.settle(self._ledger, hold.id, usd)


class StoredAnswers:
    """Answers in the object store; `of` gives the view that a note's router needs."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def of(self, owner: str, recording_key: str) -> Answers:
        """Give the answers about one recording."""
        return _AnswersOfRecording(self._store, answers_prefix(owner, recording_key))

    def forget(self, prefix: str) -> int:
        """Delete all answers below a prefix of storage.keys, those of a recording or of an owner; return how many."""
        keys = list(self._store.list(prefix))
        for key in keys:
            self._store.delete(key)
        return len(keys)


class _AnswersOfRecording:
    def __init__(self, store: ObjectStore, prefix: str) -> None:
        self._store = store
        self._prefix = prefix

    def get(self, key: str) -> Completion | None:
        try:
            return _ANSWER.validate_json(self._store.get(self._at(key)))
        except NotFound:
            return None
        except ValueError:
            logger.warning("answer_not_used", key=key, code="answer_unreadable")  # it is asked and paid for again
            return None

    def put(self, key: str, answer: Completion) -> None:
        self._store.put(self._at(key), _ANSWER.dump_json(answer))

    def _at(self, key: str) -> str:
        return checked_key(f"{self._prefix}{key}.json")


def _mean_s(answered: int, seconds: float) -> float:
    """Give the mean of what was seen and of one answer that took what an unknown route is believed to take."""
    return (Standing().seconds + seconds) / (answered + 1)
