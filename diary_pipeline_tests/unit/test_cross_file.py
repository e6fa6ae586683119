"""The loop between front end and model: order, memory, failures, checkpoints. The model says what it is told to."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from diary_pipeline.audio.decode import decode
from diary_pipeline.core.errors import AudioRefused, PermanentError, ServiceMissing, UsageError
from diary_pipeline.transcription.heard import HeardWindow
from diary_pipeline.transcription.span import RATE
from diary_pipeline.transcription.speech.windows import Window
from diary_pipeline.transcription.transcriber import Block, Heard, Hints, ToHear
from diary_pipeline.transcription.whisper.cross_file import CrossFile
from diary_pipeline.transcription.whisper.decoding import AlignedWord, Asked, Decoded, Language, OutOfMemory
from diary_pipeline.transcription.whisper.listening import Judge, Listening
from diary_pipeline_tests.recordings.faulty import WHOLE_WAV

LOST = "CUDA failed with error an illegal memory access was encountered"
SPOKEN = np.concatenate(list(decode(WHOLE_WAV)))
LONG = np.concatenate([SPOKEN] * 7)


class Says:
    """A model that names each window by its length; it may be told to fail."""

    def __init__(self, fails: Callable[[Sequence[Asked]], Exception | None] = lambda _: None) -> None:
        self.fails = fails
        self.batches: list[list[int]] = []
        self.discarded: list[BaseException | None] = []

    def decode(self, batch: Sequence[Asked]) -> list[Decoded]:
        if error := self.fails(batch):
            raise error
        self.batches.append([asked.window.length for asked in batch])
        return [self._said(asked) for asked in batch]

    def _said(self, asked: Asked) -> Decoded:
        text = f" {asked.window.length}"
        word = AlignedWord(text, (1,), 0.5, 1.0, 0.9)
        return Decoded((1,), text, asked.language or Language("en", 0.9), (word,), -0.1, 0.01)


class Kept:
    """Checkpoints in memory."""

    def __init__(self) -> None:
        self.windows: dict[int, Sequence[HeardWindow]] = {}
        self.order: list[int] = []

    def finished(self) -> Mapping[int, Sequence[HeardWindow]]:
        return dict(self.windows)

    def finish(self, window: int, heard: Sequence[HeardWindow]) -> None:
        self.windows[window] = heard
        self.order.append(window)


def run(
    model: Says,
    recordings: Iterator[ToHear] | Sequence[ToHear],
    size: int = 4,
    judge: Judge = lambda _w, h, _h, _l: (h,),
    threads: int = 2,
) -> dict[str, Heard | Exception]:
    def opened(asked: ToHear) -> Listening:
        if asked.hints.language == "xx":
            raise UsageError("language_not_supported", "No such language.")
        return Listening(asked, None, "0" * 64)

    loop = CrossFile(
        model, opened, None, judge, model.discarded.append, figures={}, batch_size=size,
        threads=threads,
    )  # fmt: skip
    return {key: found if isinstance(found, Exception) else found.result() for key, found in loop.run(recordings)}


def recording(key: str, audio: Block = SPOKEN, *, kept: Kept | None = None, language: str | None = None) -> ToHear:
    return ToHear(key, lambda: [audio], Hints(language), kept)


def refused() -> Iterator[Block]:
    yield SPOKEN[:RATE]
    raise AudioRefused("audio_unreadable", "It cannot be read.")


def unreachable() -> Iterator[Block]:
    raise ServiceMissing("store_missing", "The store is away.")
    yield SPOKEN


def test_every_recording_comes_back_once_and_accounts_for_all_its_samples() -> None:
    lengths = {f"r{i}": RATE * i // 2 for i in range(1, 30)}
    found = run(Says(), [recording(key, SPOKEN[:samples]) for key, samples in lengths.items()])
    assert {key: one.samples for key, one in found.items() if isinstance(one, Heard)} == {
        key: min(samples, len(SPOKEN)) for key, samples in lengths.items()
    }


def test_no_recordings_are_no_results() -> None:
    assert run(Says(), []) == {}


class Greets(Says):
    """A model that takes the first window of a recording for English and the others for French."""

    def _said(self, asked: Asked) -> Decoded:
        language = Language("en", 0.9) if asked.window.offset == 0 else Language("fr", 0.95)
        return replace(super()._said(asked), language=language)


def test_the_language_is_that_of_most_of_the_speech_and_not_of_the_first_window() -> None:
    found = run(Greets(), [recording("a", LONG)])["a"]
    assert isinstance(found, Heard)
    assert next(s.language for s in found.segments if s.text) == "en"
    assert (found.language, found.language_probability) == ("fr", pytest.approx(0.95))


def test_one_recording_that_breaks_leaves_the_others_alone() -> None:
    broken = ToHear("broken", refused, Hints())
    found = run(Says(), [recording("a"), broken, recording("b", language="xx"), recording("c", LONG)])
    assert isinstance(found["broken"], AudioRefused)
    assert isinstance(found["b"], UsageError)
    assert isinstance(found["a"], Heard)
    assert isinstance(found["c"], Heard)


def test_a_window_that_the_model_cannot_take_costs_its_recording_only() -> None:
    bad = len(SPOKEN) // 3

    def fails(batch: Sequence[Asked]) -> Exception | None:
        return ValueError("bad shape") if any(a.window.length < bad for a in batch) else None

    found = run(Says(fails), [recording("a"), recording("short", SPOKEN[: bad - RATE]), recording("c")])
    assert {key: type(one) for key, one in found.items()} == {"a": Heard, "short": ValueError, "c": Heard}


def test_a_failed_call_is_logged_with_the_lines_it_came_from(caplog: pytest.LogCaptureFixture) -> None:
    run(Says(lambda _: ValueError("bad shape")), [recording("a")])
    told = [r.getMessage() for r in caplog.records if r.getMessage().startswith("batch_failed")]
    assert told
    assert all("error=ValueError" in line and "test_cross_file.py:" in line for line in told)
    assert "bad shape" not in caplog.text


def test_what_speaks_of_the_surroundings_ends_it_all() -> None:
    with pytest.raises(ServiceMissing):
        run(Says(), [recording("a"), ToHear("b", unreachable, Hints())])


def test_a_lost_device_is_thrown_away_and_ends_it_all() -> None:
    cause = RuntimeError(LOST)
    lost = ServiceMissing("device_failed", "The GPU failed.")
    lost.__cause__ = cause
    model = Says(lambda _: lost)
    with pytest.raises(ServiceMissing):
        run(model, [recording("a")])
    assert model.discarded == [cause]


@pytest.mark.parametrize("error", [ValueError("bad"), OSError("/home/cuda-lab/store: out of memory")])
def test_what_goes_wrong_while_a_window_is_judged_costs_its_recording_only(error: Exception) -> None:
    def judge(window: Window, heard: HeardWindow, hints: Hints, language: str | None) -> Sequence[HeardWindow]:
        if hints.language == "de":
            raise error
        return (heard,)

    model = Says()
    found = run(model, [recording("a", language="de"), recording("b")], judge=judge)
    assert (found["a"], type(found["b"])) == (error, Heard)
    assert model.discarded == []


def test_a_judge_that_leaves_speech_out_costs_its_recording_and_none_vanishes() -> None:
    def judge(window: Window, heard: HeardWindow, hints: Hints, language: str | None) -> Sequence[HeardWindow]:
        return () if hints.vocabulary else (heard,)

    some = [ToHear("lost", lambda: [LONG], Hints(vocabulary=("Anna",))), recording("a")]
    found = run(Says(), some, judge=judge)
    assert {key: type(one) for key, one in found.items()} == {"lost": LookupError, "a": Heard}


def test_what_speaks_of_the_surroundings_while_a_window_is_judged_ends_it_all() -> None:
    def judge(window: Window, heard: HeardWindow, hints: Hints, language: str | None) -> Sequence[HeardWindow]:
        raise ServiceMissing("device_failed", "The GPU failed.")

    with pytest.raises(ServiceMissing, match="GPU failed"):
        run(Says(), [recording("a")], judge=judge)


def test_a_window_does_not_wait_for_a_recording_whose_audio_does_not_come() -> None:
    came, heard = threading.Event(), threading.Event()

    def slow() -> Iterator[Block]:
        yield SPOKEN[: 3 * RATE]
        assert heard.wait(30), "the model waited for audio that had not come"
        came.set()
        yield SPOKEN[3 * RATE :]

    class Tells(Says):
        def decode(self, batch: Sequence[Asked]) -> list[Decoded]:
            heard.set()
            return super().decode(batch)

    found = run(Tells(), [recording("there"), ToHear("slow", slow, Hints())])
    assert came.is_set()
    assert found.keys() == {"there", "slow"}


def test_windows_are_made_while_the_model_is_busy() -> None:
    # By events: whoever takes turns with the front end fails, however slow the machine is.
    made = [0]
    more = threading.Condition()

    def counted() -> Iterator[Block]:
        yield SPOKEN[: 2 * RATE]
        with more:
            made[0] += 1
            more.notify_all()

    went_on: list[bool] = []

    class Busy(Says):
        def decode(self, batch: Sequence[Asked]) -> list[Decoded]:
            if not went_on:
                with more:
                    before = made[0]
                    went_on.append(more.wait_for(lambda: made[0] > before, 10))
            return super().decode(batch)

    found = run(Busy(), [ToHear(str(number), counted, Hints()) for number in range(60)])
    assert went_on == [True]
    assert {type(one) for one in found.values()} == {Heard}


def test_a_window_of_a_recording_that_broke_meanwhile_is_not_heard() -> None:
    class Waits(Says):
        def decode(self, batch: Sequence[Asked]) -> list[Decoded]:
            for thread in threading.enumerate():
                if thread.name == "front-end":
                    thread.join(30)  # all audio is read, and "broken" broke
            return super().decode(batch)

    def breaks() -> Iterator[Block]:
        yield LONG[: 40 * RATE]
        raise AudioRefused("audio_unreadable", "It cannot be read.")

    model = Waits()
    found = run(model, [recording("a"), ToHear("broken", breaks, Hints())], size=1, threads=1)
    assert {key: type(one) for key, one in found.items()} == {"a": Heard, "broken": AudioRefused}
    assert len(model.batches) == 1


def test_an_engine_that_ran_out_of_memory_is_loaded_anew_and_goes_on() -> None:
    left = [3]

    def fails(_: Sequence[Asked]) -> Exception | None:
        left[0] -= 1
        return OutOfMemory("out of memory") if left[0] == 1 else None

    model = Says(fails)
    found = run(model, [recording(key) for key in "abcde"], 1)
    assert {type(one) for one in found.values()} == {Heard}
    assert model.discarded == [None]


def test_a_batch_that_does_not_fit_is_halved_over_a_new_model_and_no_later_one_is_as_large() -> None:
    model = Says(lambda batch: OutOfMemory("out of memory") if len(batch) > 2 else None)
    found = run(model, [recording(str(number), SPOKEN[: 4 * RATE]) for number in range(20)], 8)
    assert {type(one) for one in found.values()} == {Heard}
    assert max(map(len, model.batches)) == 2
    assert model.discarded == [None, None]  # 8 and 4 were tried, once each


def test_a_window_that_never_fits_fails_its_recording_with_what_to_do() -> None:
    longest = len(SPOKEN) // 2
    model = Says(lambda batch: OutOfMemory() if any(a.window.length > longest for a in batch) else None)
    found = run(model, [recording("big"), recording("small", SPOKEN[: len(SPOKEN) // 3])])
    assert isinstance(found["small"], Heard)
    assert isinstance(found["big"], PermanentError)
    assert found["big"].code == "device_out_of_memory"
    assert "big" in found["big"].message


@pytest.mark.parametrize("fits", [0, 1, 3])
def test_memory_that_somebody_else_took_fails_no_recording(fits: int) -> None:
    calls = [0]

    def fails(_: Sequence[Asked]) -> Exception | None:
        calls[0] += 1
        return OutOfMemory() if calls[0] > fits else None

    found: dict[str, object] = {}
    with pytest.raises(ServiceMissing) as told:
        found.update(run(Says(fails), [recording(str(number), SPOKEN[: 2 * RATE]) for number in range(9)], 2))
    assert told.value.code == "device_failed"
    assert found == {}


def test_recordings_are_opened_only_as_far_ahead_as_they_are_needed() -> None:
    opened: list[int] = []

    def endless() -> Iterator[ToHear]:
        for number in range(100_000):
            opened.append(number)
            yield recording(str(number), SPOKEN[: 2 * RATE])

    def fails(_: Sequence[Asked]) -> Exception | None:
        return ServiceMissing("device_failed", "enough") if len(opened) > 20 else None

    with pytest.raises(ServiceMissing):
        run(Says(fails), endless())
    assert len(opened) < 200


def test_a_long_recording_gives_one_window_to_a_call_and_keeps_each_in_order() -> None:
    kept = Kept()
    model = Says()
    run(model, [recording("long", LONG, kept=kept)])
    assert [len(batch) for batch in model.batches] == [1] * len(kept.order)
    assert kept.order == list(range(len(kept.order)))
    assert len(kept.order) >= 4


@pytest.mark.parametrize("done", [0, 1, 3])
def test_what_was_kept_is_not_heard_again_and_nothing_differs(done: int) -> None:
    first = Kept()
    expected = run(Says(), [recording("long", LONG, kept=first)])
    again = Kept()
    again.windows = {index: first.windows[index] for index in range(done)}
    model = Says()
    assert run(model, [recording("long", LONG, kept=again), recording("other")])["long"] == expected["long"]
    assert sum(map(len, model.batches)) == len(first.windows) - done + 1


def test_what_was_kept_of_other_windows_is_heard_again_and_nothing_differs() -> None:
    first = Kept()
    expected = run(Says(), [recording("long", LONG, kept=first)])
    again = Kept()
    again.windows = {**first.windows, 0: first.windows[1], 2: ()}
    model = Says()
    assert run(model, [recording("long", LONG, kept=again)]) == expected
    assert again.order == [0, 2]
    assert sum(map(len, model.batches)) == 2
