"""Finished windows are kept as long as the work goes on, used by whoever goes on with it, and then deleted.

Real ledger, store, decoder, windows and loop; the model names each window by its length.
"""

import dataclasses
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from diary_pipeline.core.batch import Batch
from diary_pipeline.core.errors import ServiceMissing
from diary_pipeline.core.owner import Owner
from diary_pipeline.ledger import recordings
from diary_pipeline.ledger.claims import claim_keys, release
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline.storage.keys import checkpoint_prefix, checkpoints_prefix
from diary_pipeline.transcription.checkpoints import StoredCheckpoints, forget_ended
from diary_pipeline.transcription.heard import HeardWindow, PlacedWord, partition
from diary_pipeline.transcription.scripted import ScriptedTranscriber
from diary_pipeline.transcription.span import RATE, Span
from diary_pipeline.transcription.transcriber import Heard, Hints, ToHear
from diary_pipeline_tests.unit.test_cross_file import LONG, Says, run
from diary_pipeline_tests.unit.test_transcribe_batch import TEXT, House

PREFIX = "checkpoints/a/b/"
HEARD = HeardWindow(
    (Span(0, RATE),), (PlacedWord(" schön", Span(10, 20), 0.5),), "de", 0.9, -0.1, 0.01, 1.2, ("loop",), tokens=(1, 2)
)


class InWindows:
    """A model behind the real loop; its surroundings may break after some windows."""

    engine = ScriptedTranscriber([TEXT]).engine

    def __init__(self, breaks_after: int | None = None) -> None:
        self.model = Says(lambda _: self._broken())
        self.breaks_after = breaks_after

    def _broken(self) -> Exception | None:
        return ServiceMissing("device_failed", "The GPU failed.") if self.heard == self.breaks_after else None

    @property
    def heard(self) -> int:
        return sum(map(len, self.model.batches))

    def transcribe(self, recordings: Iterable[ToHear]) -> Iterator[tuple[str, Heard | Exception]]:
        yield from run(self.model, iter(recordings)).items()


class Long(House):
    """A house with one recording that does not say how long it is, or says too much."""

    def __init__(self, folder: Path, declared_s: float | None = None) -> None:
        super().__init__(folder)
        self.key = self.add("long.wav", LONG, declared_s=declared_s, says_how_long=declared_s is not None)

    def with_model(self, breaks_after: int | None = None) -> InWindows:
        model = InWindows(breaks_after)
        self.transcribers = lambda _: model
        return model

    def stop_after(self, windows: int) -> InWindows:
        """Run until that many windows are finished and the surroundings break."""
        model = self.with_model(windows)
        batch = self.claim(self.key)
        with pytest.raises(ServiceMissing):
            self.transcribe(batch)
        release(self.ledger, batch, retry_s=0)
        return model

    @property
    def kept(self) -> list[str]:
        return list(self.store.list("checkpoints/"))

    def put_of_an_older_version(self) -> None:
        with self.ledger.reading() as conn:
            recording = recordings.get(conn, self.key)
        self.store.put(checkpoint_prefix(recording.owner, recording.content_sha256, "old") + "000000.json", b"[]")


@pytest.fixture
def house(tmp_path: Path) -> Long:
    return Long(tmp_path)


@pytest.fixture(scope="module")
def windows() -> int:
    """How many windows the long recording has."""
    model = InWindows()
    list(model.transcribe([ToHear("long", lambda: [LONG], Hints())]))
    assert model.heard >= 4
    return model.heard


def test_what_a_stopped_batch_finished_is_kept_used_by_the_next_and_gone_after_its_commit(
    house: Long, windows: int
) -> None:
    assert house.stop_after(2).heard == 2
    assert [key.rpartition("/")[2] for key in house.kept] == ["000000.json", "000001.json"]
    house.put_of_an_older_version()
    model = house.with_model()
    [result] = house.transcribe(house.claim(house.key, holder="run-2")).results
    assert (result.outcome, model.heard) == ("committed", windows - 2)
    assert house.kept == []


def test_another_version_finds_nothing_and_takes_all_with_it(house: Long, windows: int) -> None:
    house.stop_after(2)
    house.owner = Owner("me", languages=("en",), vocabulary=("Daniel", "Mika"))
    model = house.with_model()
    house.transcribe(house.claim(house.key, holder="run-2"))
    assert (model.heard, house.kept) == (windows, [])


@pytest.mark.parametrize(("declared_s", "listed"), [(None, 1), (601.0, 1), (600.0, 0), (60.0, 0)])
def test_the_store_is_searched_only_for_recordings_long_enough_to_have_kept_something(
    tmp_path: Path, declared_s: float | None, listed: int
) -> None:
    class Counts(FolderStore):
        def list(self, prefix: str) -> Iterator[str]:
            searched.append(prefix)
            return super().list(prefix)

    searched: list[str] = []
    house = Long(tmp_path, declared_s)
    house.transcribe(house.claim(house.key))
    forget_ended(house.ledger, Counts(tmp_path / "objects"), [house.key])
    assert len(searched) == listed


def test_nothing_is_kept_of_what_failed_for_good(tmp_path: Path) -> None:
    house = Long(tmp_path, declared_s=1000.0)
    house.stop_after(2)
    house.put_of_an_older_version()
    assert len(house.kept) == 3
    house.with_model()
    [result] = house.transcribe(house.claim(house.key, holder="run-2")).results
    assert (result.outcome, result.code, house.kept) == ("failed", "audio_truncated", [])


def test_what_is_found_committed_takes_leftovers_with_it(house: Long) -> None:
    house.with_model()
    house.transcribe(house.claim(house.key))
    house.put_of_an_older_version()
    [result] = house.transcribe(house.claim(house.key, holder="run-2")).results
    assert (result.outcome, house.kept) == ("found", [])


def test_what_was_settled_before_takes_leftovers_with_it(house: Long) -> None:
    house.with_model()
    house.transcribe(house.claim(house.key))
    house.put_of_an_older_version()
    house.transcribe(Batch("b", "transcript", (), settled=(house.key,)))
    assert house.kept == []


def test_who_was_taken_over_leaves_what_is_kept_to_who_works_now(house: Long, windows: int) -> None:
    house.with_model()
    lost = claim_keys(house.ledger, "transcript", [house.key], "run-1", 0)
    taken_over = house.claim(house.key, holder="run-2")
    [result] = house.transcribe(lost).results
    assert (result.code, len(house.kept)) == ("fenced", windows)
    model = house.with_model()
    [result] = house.transcribe(taken_over).results
    assert (result.outcome, model.heard, house.kept) == ("committed", 0, [])


def test_who_was_taken_over_and_comes_last_leaves_nothing(house: Long, windows: int) -> None:
    house.with_model()
    lost = claim_keys(house.ledger, "transcript", [house.key], "run-1", 0)
    house.transcribe(house.claim(house.key, holder="run-2"))
    house.owner = Owner("me", languages=("en",))
    model = house.with_model()
    [result] = house.transcribe(lost).results
    assert (result.code, model.heard, house.kept) == ("fenced", windows, [])


def test_what_is_kept_comes_back_as_it_was_but_for_its_tokens(tmp_path: Path) -> None:
    kept = StoredCheckpoints(FolderStore(tmp_path), PREFIX)
    kept.finish(3, [HEARD, HeardWindow((Span(RATE, 2 * RATE),), refused="loop")])
    assert kept.finished() == {
        3: (dataclasses.replace(HEARD, tokens=()), HeardWindow((Span(RATE, 2 * RATE),), refused="loop"))
    }


def fields(**changes: object) -> bytes:
    said = {**json.loads(json.dumps(dataclasses.asdict(HEARD))), **changes}
    return json.dumps([{name: value for name, value in said.items() if value != "left out"}]).encode()


UNREADABLE = {
    "empty": b"",
    "torn": fields(tokens="left out")[:50],
    "no text": b"\xff\xfe",
    "no list": b"5",
    "no window": b'["loop"]',
    "a field more": fields(tokens="left out", extra=1),
    "a field of old": fields(),
    "a field less": fields(tokens="left out", risks="left out"),
    "another type": fields(tokens="left out", spans="all"),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_what_cannot_be_read_is_told_left_there_and_heard_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    store = FolderStore(tmp_path)
    kept = StoredCheckpoints(store, PREFIX)
    kept.finish(1, [HEARD])
    store.put(f"{PREFIX}000000.json", UNREADABLE[what])
    assert list(kept.finished()) == [1]
    assert store.get(f"{PREFIX}000000.json") == UNREADABLE[what]
    [told] = caplog.messages
    assert told == f"checkpoint_not_used key={PREFIX}000000.json code=checkpoint_unreadable"


def test_a_name_that_is_no_number_is_left_alone(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put(f"{PREFIX}notes.json", b"[]")
    assert StoredCheckpoints(store, PREFIX).finished() == {}


def test_a_recording_whose_kept_windows_cannot_be_read_is_heard_anew(house: Long, windows: int) -> None:
    house.stop_after(2)
    for key in house.kept:
        house.store.put(key, house.store.get(key)[:-5])
    model = house.with_model()
    [result] = house.transcribe(house.claim(house.key, holder="run-2")).results
    assert (result.outcome, model.heard) == ("committed", windows)


def of(*spans: tuple[int, int]) -> tuple[Span, ...]:
    return tuple(Span(*span) for span in spans)


@pytest.mark.parametrize(
    ("parts", "exactly"),
    [
        ([of((0, 10), (20, 30))], True),
        ([of((0, 10)), of((20, 30))], True),
        ([of((0, 4)), of((4, 10), (20, 30))], True),
        ([], False),
        ([of((0, 10))], False),
        ([of((0, 10), (20, 31))], False),
        ([of((0, 10), (20, 30), (40, 50))], False),
        ([of((0, 30))], False),
        ([of((0, 6)), of((4, 10), (20, 30))], False),
        ([of((20, 30)), of((0, 10))], False),
        ([of((0, 8), (8, 4), (4, 10), (20, 30))], False),
    ],
)
def test_parts_hold_exactly_a_window(parts: list[tuple[Span, ...]], exactly: bool) -> None:
    assert partition([HeardWindow(spans) for spans in parts], of((0, 10), (20, 30))) is exactly


def test_all_that_is_kept_of_a_recording_lies_under_its_owner() -> None:
    whole = checkpoints_prefix("me", "f" * 64)
    assert checkpoint_prefix("me", "f" * 64, "v1") == f"{whole}v1/"
