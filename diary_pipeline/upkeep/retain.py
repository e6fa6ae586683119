"""Keep things for as long as their owner wants and no longer: `keep_audio` of our copy, `keep_days` of everything.

What only the deployment wants to know, why something took three tries, goes by itself.

What is due is the ledger's to say, erasing a recording erase.py's. Originals in folders and buckets are not ours to
touch. The surprise: days of audio count from when the note was there, days of a recording from when it was taken in.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from diary_pipeline.core.owner import Owner
from diary_pipeline.ledger import failures, retention
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.retention import Rule
from diary_pipeline.observability.logs import log
from diary_pipeline.storage.store import ObjectStore

AT_ONCE = 1000
"""Of each kind in one call: a rule that is new meets years of recordings, and the next call goes on."""
logger = log(__name__)


@dataclass(frozen=True)
class Retained:
    """What one call removed."""

    audio: int
    audio_bytes: int
    erased: int
    """Recordings that are hidden now; their bytes go with the erasures."""


@dataclass(frozen=True)
class Retention:
    """The rules of a deployment, and what they are applied to."""

    ledger: Ledger
    store: ObjectStore
    usual: Owner
    """Stands for everybody of whom the configuration says nothing."""
    owners: Iterable[Owner]
    hide: Callable[[str], object]
    """Begins to erase one recording."""

    def __call__(self) -> Retained:
        """Remove what has been kept long enough; may be called at any time, and after a kill again."""
        audio = retention.mark_audio(self.ledger, self._rules(lambda o: o.keep_audio_days), AT_ONCE)
        for one in audio:
            self.store.delete(one.object_key)
        if audio:
            retention.note_removed(self.ledger, [one.key for one in audio])
        with self.ledger.reading() as conn:
            keys = retention.outlived(conn, self._rules(lambda o: o.keep_days), AT_ONCE)
        for key in keys:
            self.hide(key)
        forgotten = failures.forget_old(self.ledger)
        done = Retained(len(audio), sum(one.size_bytes for one in audio), len(keys))
        if forgotten or done != Retained(0, 0, 0):
            told = {"audio": done.audio, "audio_bytes": done.audio_bytes, "erased": done.erased}
            logger.info("retained", **told, failures=forgotten)
        return done

    def _rules(self, days_of: Callable[[Owner], float | None]) -> list[Rule]:
        known = list(self.owners)
        rules = [Rule(days, owner.user_id) for owner in known if (days := days_of(owner)) is not None]
        if (usual := days_of(self.usual)) is not None:
            rules.append(Rule(usual, None, frozenset(owner.user_id for owner in known)))
        return rules
