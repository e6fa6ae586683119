"""The one who makes commits visible: fold what is new into the spare of two twin files, rename it onto the live name.

Which files there are is twins.py's business, what is folded and how fold.py's, whose turn it is turn.py's, what follows
the file followers.py's.

The file is its owner's alone and read-only (0400), and is built in a folder that is private too: it holds a diary.

What surprises: run it in its own process. DuckDB gives a second open of the same path the first one's instance, and its
file locks are per process, so a process that both reads and publishes fools itself.
"""

import datetime as dt
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import duckdb

from diary_pipeline.catalogue import compaction, fold, marts, migrations
from diary_pipeline.catalogue.followers import Follower, lead
from diary_pipeline.catalogue.publication import Publication
from diary_pipeline.catalogue.schema import SCHEMA_VERSION
from diary_pipeline.catalogue.state import State, opened, read_state, write_state
from diary_pipeline.catalogue.turn import turn
from diary_pipeline.catalogue.twins import Origin, Twins
from diary_pipeline.core.errors import NotFound, TransientError
from diary_pipeline.ledger.clock import clock_now
from diary_pipeline.ledger.commits import made_at
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.erasures import last_hidden_seq, last_removed_seq
from diary_pipeline.ledger.pointers import Pointer, pointers_since
from diary_pipeline.ledger.publications import place_of, publication, set_compacted, set_published, waited
from diary_pipeline.ledger.statements import now
from diary_pipeline.observability.logs import log
from diary_pipeline.storage.store import ObjectStore

logger = log("catalogue.publisher")

ROUNDS = 5
"""Folds in one call: what was committed during a long one is carried too, but steady commits keep no call for ever."""


@dataclass(frozen=True)
class Published:
    """What users can see now."""

    watermark: int
    """Of the last commit in the file."""
    recordings: int
    """Recordings and refusals that this call made visible, changed or hid; 0: there was nothing new."""
    seconds: float
    origin: Origin | None = None
    """What the file was made from last; None: it was left alone."""
    freshness_s: float | None = None
    """From the last commit to the moment when it could be seen; None: nothing was new."""
    oldest_freshness_s: float | None = None
    """The same of the commit that had waited longest."""


class Publisher:
    """Folds the log into `live`; a crash anywhere leaves the old file whole."""

    def __init__(
        self,
        ledger: Ledger,
        store: ObjectStore,
        live: Path,
        *,
        marts_file: Path | None = None,
        followers: Sequence[Follower] = (),
        publication: Publication | None = None,
        search_file: Path | None = None,
        options: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """`publication` has the file, and `search_file` beside it, uploaded for machines without a publisher.

        `options` are DuckDB's, for building the file: `memory_limit`, `threads`, `force_compression`.
        """
        self.ledger = ledger
        self.store = store
        self.live = live
        self.marts_file = marts_file
        self.followers = followers
        self.publication = publication
        self.search_file = search_file
        self.options = options
        self._place = place_of(live)
        self._twins = Twins(live)

    def publish(self) -> Published:
        """Make everything committed before this call visible, and return how far that is."""
        started = time.perf_counter()
        with self._turn():
            done = self._published(started)
            if self._holds_erased(done.watermark):
                self._compact(done.watermark)
            self._upload(done)
        return _told(replace(done, seconds=time.perf_counter() - started))

    def compact(self) -> Published:
        """Publish, then rewrite the file without the bytes of deleted rows, and drop every other copy of it.

        TransientError when the store could not be given the rewritten one: what it shows may hold what was erased.
        """
        started = time.perf_counter()
        with self._turn():  # one for all: who published in between would upload the dead bytes of a later commit
            done = self._published(started)
            self._compact(done.watermark)
            if self.publication is not None:
                self.publication.replace_all(self.live, done.watermark, self.search_file)
        return _told(replace(done, seconds=time.perf_counter() - started))

    def _published(self, started: float) -> Published:
        marts_wanted, is_first = marts.stamp(self.marts_file), not self.live.exists()
        seen = self._seen()
        state, origin = (seen, None) if seen else self._build(None)
        first = state.watermark
        recordings = state.recordings if origin else 0
        for _ in range(ROUNDS):
            if not self._is_behind(state):
                break
            state, origin = self._build(state)
            recordings += state.recordings
        lead(self.ledger, self.live, self.followers, state.watermark)
        newest, oldest = self._note(state.watermark, marts_wanted)
        if is_first:  # made of the log alone, which had rows of nothing that was hidden
            set_compacted(self.ledger, self._place, first)
        return Published(state.watermark, recordings, time.perf_counter() - started, origin, newest, oldest)

    def _holds_erased(self, watermark: int) -> bool:
        """Tell whether rows that an erasure deleted still have their bytes in the file, or may have."""
        with self.ledger.reading() as conn:
            return publication(conn, self._place).compacted_seq < last_hidden_seq(conn) <= watermark

    def _compact(self, watermark: int) -> None:
        started = time.perf_counter()
        with self._twins.written():
            compaction.rewrite(self.live, self._twins.next, self.options)
            self._twins.swap(keep_spare=False)
        for follower in self.followers:
            follower.compact()
        set_compacted(self.ledger, self._place, watermark)
        size = self.live.stat().st_size
        logger.info("compacted", size_bytes=size, seconds=round(time.perf_counter() - started, 3))

    def _upload(self, done: Published) -> None:
        """Show other machines the same; a bucket out of reach keeps nobody here from seeing it, and is tried again."""
        if self.publication is None:
            return
        try:
            if done.origin or self.publication.behind(self.live, done.watermark):
                self.publication.upload(self.live, done.watermark, self.search_file)
        except TransientError as error:
            logger.warning("upload_failed", code=error.code)

    def dead_share(self) -> float:
        """Return which part of the published rows is deleted, 0 to 1; compaction.WORTH_IT says when to compact."""
        if not self.live.exists():
            return 0.0
        with opened(self.live, read_only=True) as db:
            return compaction.dead_share(db)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        with turn(self.ledger, self.live):
            with self._twins.written():
                self._twins.clean()
            yield

    def _seen(self) -> State | None:
        """Return the state of the live file; None: there is none, or this process cannot tell."""
        if not self.live.exists():
            return None
        try:
            with opened(self.live, read_only=True) as db:
                return read_state(db)
        except duckdb.Error:
            return None  # damaged, or open here with other settings: the next file will tell

    def _is_behind(self, state: State) -> bool:
        with self.ledger.reading() as conn:
            if clock_now(conn) != state.watermark:
                return True
        return marts.stamp(self.marts_file) != state.marts_stamp and marts.can_be_read(self.marts_file)

    def _build(self, shown: State | None) -> tuple[State, Origin]:
        """Make the next file and show it; `shown` is the state of the live one."""
        try:
            return self._build_once(shown)
        except (NotFound, FileNotFoundError, duckdb.IOException):
            # An object was replaced between the look at its pointer and the opening of its file; or it is missing.
            return self._build_once(shown)

    def _build_once(self, shown: State | None) -> tuple[State, Origin]:
        with self._twins.written():
            held, origin = self._begun()
            with opened(self._twins.next, options=self.options) as db:
                if held is None:
                    fold.create(db)
                state = self._filled(db, held, shown)
            self._twins.swap(keep_spare=True)
        return state, origin

    def _begun(self) -> tuple[State | None, Origin]:
        """Lay out the next file and return what is in it already; None: nothing, the log holds everything."""
        with self.ledger.reading() as conn:
            head, removed = clock_now(conn), last_removed_seq(conn)
        for origin in self._twins.candidates():
            if origin == "log":
                break
            try:
                with opened(self._twins.next, options=self.options) as db:
                    version = migrations.version_of(db)
                    is_old = version is not None and version < SCHEMA_VERSION
                    state = read_state(db) if not is_old or migrations.migrate(db, version or 0) else None
            except duckdb.Error as error:  # a spare that somebody reads, or a damaged file
                logger.info("twin_unusable", origin=origin, error=type(error).__name__)
                continue
            # Not of another schema, nor ahead of a ledger restored from a backup, nor from before an erasure whose
            # pointers are gone, so that nothing would tell what to drop.
            if state is not None and max(removed, 1) <= state.watermark <= head:
                return state, origin
        if self.live.exists():
            logger.info("catalogue_rebuilt", head=head)
        return None, "log"

    def _filled(self, db: duckdb.DuckDBPyConnection, held: State | None, shown: State | None) -> State:
        """Fold everything new into the next file, and write down what it has become."""
        started = time.perf_counter()
        with self.ledger.reading() as conn:  # one snapshot, so that the file holds whole commits
            head, hidden = clock_now(conn), last_hidden_seq(conn)
            moved = pointers_since(conn, held.watermark if held else 0)
            newest = made_at(conn, head)
        fold.fold(db, self.store, moved)
        built, marts_watermark = self._carry_marts(db, held, shown, hidden)
        db.execute("CHECKPOINT")
        with self.ledger.reading() as conn:
            at = now(conn)
            newest_s, oldest_s = waited(conn, self._place, head, at)
        visible = shown.watermark if held and shown else 0
        state = State(
            head,
            _instant(at),
            committed_at=None if newest is None else _instant(newest),
            freshness_s=newest_s,
            oldest_freshness_s=oldest_s,
            recordings=_subjects(moved, visible),
            seconds=time.perf_counter() - started,
            marts_watermark=marts_watermark,
            marts_stamp=built,
        )
        write_state(db, state)
        db.execute("CHECKPOINT")
        return state

    def _carry_marts(
        self, db: duckdb.DuckDBPyConnection, held: State | None, shown: State | None, hidden: int
    ) -> tuple[str, int | None]:
        theirs, ours = (state.marts_stamp if state else "" for state in (shown, held))
        built = marts.carry(db, self.marts_file, self.live, held=ours, shown=theirs)
        return built, marts.kept(db, hidden)

    def _note(self, head: int, marts_wanted: str) -> tuple[float | None, float | None]:
        """Tell the ledger how far users see; return how many seconds the newest and the oldest new commit waited."""
        with self.ledger.reading() as conn:
            noted, ages = publication(conn, self._place), waited(conn, self._place, head, now(conn))
        if (noted.place, noted.watermark, noted.marts) != (self._place, head, marts_wanted):
            set_published(self.ledger, self._place, head, marts_wanted)
        return ages


def _told(done: Published) -> Published:
    if done.origin:
        told = {"seconds": done.seconds, "freshness_s": done.freshness_s, "oldest_freshness_s": done.oldest_freshness_s}
        rounded = {name: round(value, 3) for name, value in told.items() if value is not None}
        logger.info("published", watermark=done.watermark, recordings=done.recordings, origin=done.origin, **rounded)
    return done


def _subjects(moved: Sequence[Pointer], after: int) -> int:
    return len({p.subject for p in moved if p.seq > after})


def _instant(at: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(at, dt.UTC).replace(tzinfo=None)
