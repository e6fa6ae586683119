"""What every transcriber promises. Another implementation joins by one more line in TRANSCRIBERS."""

import dataclasses
import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np
import pytest

from diary_pipeline.audio.decode import decode
from diary_pipeline.core.errors import AudioRefused, TransientError, UsageError
from diary_pipeline.core.transcript import Segment
from diary_pipeline.transcription.heard import HeardWindow, PlacedWord
from diary_pipeline.transcription.scripted import ScriptedTranscriber
from diary_pipeline.transcription.server.connection import TranscriptionServer
from diary_pipeline.transcription.server.openai_compatible import OpenAICompatibleTranscriber
from diary_pipeline.transcription.span import RATE
from diary_pipeline.transcription.transcriber import Block, Heard, Hints, ToHear, Transcriber, hear
from diary_pipeline_tests.recordings.faulty import DEMO
from diary_pipeline_tests.transcription_server import heard_by, transcription_server
from diary_pipeline_tests.weights import real_transcriber

SPOKEN = DEMO / "2026-03-02 first day back.wav"


@contextmanager
def behind_a_server() -> Iterator[Transcriber]:
    with transcription_server(heard_by(ScriptedTranscriber(languages=("en",)))) as server:
        yield OpenAICompatibleTranscriber(TranscriptionServer(server.url, "tiny.en"))


TRANSCRIBERS: dict[str, Callable[[], AbstractContextManager[Transcriber]]] = {
    "scripted": lambda: nullcontext(ScriptedTranscriber(languages=("en",))),
    "faster_whisper": lambda: nullcontext(real_transcriber("tiny.en")),
    "openai_compatible": behind_a_server,
}
MARKED = [pytest.param(name, marks=[pytest.mark.speech] * (name == "faster_whisper")) for name in TRANSCRIBERS]


@pytest.fixture(scope="module", params=MARKED)
def transcriber(request: pytest.FixtureRequest) -> Iterator[Transcriber]:
    with TRANSCRIBERS[request.param]() as made:
        yield made


@pytest.fixture(scope="module")
def spoken() -> Block:
    return np.concatenate(list(decode(SPOKEN)))


@pytest.fixture(scope="module")
def heard(transcriber: Transcriber, spoken: Block) -> Heard:
    return hear(transcriber, [spoken], Hints())


class Kept:
    """Checkpoints in memory."""

    def __init__(self, windows: Mapping[int, Sequence[HeardWindow]] | None = None) -> None:
        self.windows = dict(windows or {})
        self.order: list[int] = []

    def finished(self) -> Mapping[int, Sequence[HeardWindow]]:
        return dict(self.windows)

    def finish(self, window: int, heard: Sequence[HeardWindow]) -> None:
        self.windows[window] = heard
        self.order.append(window)


def in_blocks(samples: Block, sizes: Iterator[int]) -> Iterator[Block]:
    at = 0
    while at < len(samples):
        size = next(sizes)
        yield samples[at : at + size]
        at += size


def partition(segments: tuple[Segment, ...]) -> list[tuple[int, int]]:
    return [(round(s.start_s * RATE), round(s.end_s * RATE)) for s in segments]


def test_speech_becomes_words(heard: Heard) -> None:
    assert [s for s in heard.segments if s.kind == "speech" and s.text and s.words]
    assert heard.language == "en"
    assert 0 < heard.language_probability <= 1


@pytest.mark.parametrize(
    ("before", "after", "taken"),
    [(0, 0, None), (0, 5 * RATE, None), (RATE + 7, 3, None), (0, 0, 0), (0, 0, 100), (0, 0, 513), (3 * RATE, 0, 0)],
)
def test_every_sample_lies_in_exactly_one_segment(
    transcriber: Transcriber, spoken: Block, before: int, after: int, taken: int | None
) -> None:
    samples = np.concatenate([np.zeros(before, np.float32), spoken[:taken], np.zeros(after, np.float32)])
    found = hear(transcriber, [samples], Hints())
    assert found.samples == len(samples)
    edges = partition(found.segments)
    assert [start for start, _ in edges] + [len(samples)] == [0] * bool(edges) + [end for _, end in edges] or not edges
    assert all(start < end for start, end in edges)
    assert bool(edges) == bool(len(samples))


def test_segments_are_numbered_from_zero_in_order_of_time(heard: Heard) -> None:
    assert [s.id for s in heard.segments] == list(range(len(heard.segments)))


def test_words_keep_their_order_inside_their_segment(heard: Heard) -> None:
    for segment in heard.segments:
        times = [t for word in segment.words for t in (word.start_s, word.end_s)]
        assert times == sorted(times)
        assert all(segment.start_s <= t <= segment.end_s for t in times)
        assert all(word.text == word.text.strip() != "" for word in segment.words)
        assert all(word.probability is None or 0 <= word.probability <= 1 for word in segment.words)
        assert segment.text.split() == [part for word in segment.words for part in word.text.split()]


def test_only_speech_has_text_and_names_its_language(heard: Heard) -> None:
    for segment in heard.segments:
        assert (segment.kind == "speech") == bool(segment.text) == bool(segment.words)
        assert segment.language == ("en" if segment.kind == "speech" else None)


@pytest.mark.parametrize("seconds", [0, 0.5, 40])
def test_silence_has_no_text_and_no_language(transcriber: Transcriber, seconds: float) -> None:
    found = hear(transcriber, [np.zeros(round(seconds * RATE), np.float32)], Hints(languages=("en", "de")))
    assert {s.kind for s in found.segments} <= {"silence"}
    assert (found.language, found.language_probability) == (None, 0.0)


def test_no_blocks_at_all_are_no_samples(transcriber: Transcriber) -> None:
    assert hear(transcriber, [], Hints()) == Heard(0, None, 0.0, ())


@pytest.mark.parametrize("sizes", [[32 * RATE], [1, 511, 512, 513, 7001], [RATE // 3]])
def test_the_sizes_of_the_blocks_change_nothing(
    transcriber: Transcriber, spoken: Block, heard: Heard, sizes: list[int]
) -> None:
    assert hear(transcriber, in_blocks(spoken, itertools.cycle(sizes)), Hints()) == heard


def test_a_forced_language_is_the_language(transcriber: Transcriber, spoken: Block) -> None:
    found = hear(transcriber, [spoken], Hints(language="en", languages=("de",), vocabulary=("Daniel",)))
    assert (found.language, found.language_probability) == ("en", 1.0)


@pytest.mark.parametrize("hints", [Hints(language="de"), Hints(languages=("de", "fr")), Hints("xx", ("en",))])
def test_a_language_that_the_weights_do_not_know_is_refused(transcriber: Transcriber, hints: Hints) -> None:
    with pytest.raises(UsageError) as refused:
        hear(transcriber, [np.zeros(RATE, np.float32)], hints)
    assert refused.value.code == "language_not_supported"


def test_the_engine_says_what_it_is_before_it_has_heard_anything(transcriber: Transcriber) -> None:
    engine = transcriber.engine
    assert engine.name
    assert engine.model
    assert re.fullmatch(r"([0-9a-f]{64})?", engine.model_sha256)  # empty: unknown
    assert engine.key == transcriber.engine.key


def test_what_is_heard_is_plain_data(heard: Heard) -> None:
    assert json.loads(json.dumps(dataclasses.asdict(heard)))["samples"] == heard.samples


def unreadable() -> Iterator[Block]:
    yield np.zeros(RATE, np.float32)
    raise AudioRefused("audio_unreadable", "It cannot be read.")


def unreachable() -> Iterator[Block]:
    yield np.zeros(RATE, np.float32)
    raise TransientError("store_missing", "The store is away.")


def test_each_recording_comes_back_once_and_one_that_breaks_leaves_the_others_alone(
    transcriber: Transcriber, spoken: Block, heard: Heard
) -> None:
    asked = [
        ToHear("first", lambda: [spoken], Hints()),
        ToHear("broken", unreadable, Hints()),
        ToHear("foreign", lambda: [spoken], Hints("de")),
        ToHear("empty", lambda: [], Hints()),
        ToHear("last", lambda: in_blocks(spoken, itertools.repeat(RATE)), Hints()),
    ]
    found = list(transcriber.transcribe(iter(asked)))
    assert sorted(key for key, _ in found) == sorted(one.key for one in asked)
    by_key = dict(found)
    assert by_key["first"] == by_key["last"] == heard
    assert by_key["empty"] == Heard(0, None, 0.0, ())
    assert isinstance(by_key["broken"], AudioRefused)
    assert isinstance(by_key["foreign"], UsageError)


def test_what_speaks_of_the_surroundings_is_raised(transcriber: Transcriber, spoken: Block) -> None:
    def stop(_: float) -> None:
        raise TransientError("stopped", "Somebody else took it over.")

    for asked in (ToHear("a", unreachable, Hints()), ToHear("a", lambda: [spoken], Hints(), progress=stop)):
        with pytest.raises(TransientError):
            list(transcriber.transcribe([asked]))


def test_progress_is_told_in_seconds_and_never_beyond_the_end(transcriber: Transcriber, spoken: Block) -> None:
    told: list[float] = []
    list(transcriber.transcribe([ToHear("a", lambda: [spoken], Hints(), progress=told.append)]))
    assert told
    assert 0 < max(told) <= len(spoken) / RATE


def test_finished_windows_are_kept_and_not_heard_again(transcriber: Transcriber, spoken: Block, heard: Heard) -> None:
    first = Kept()
    assert list(transcriber.transcribe([ToHear("a", lambda: [spoken], Hints(), first)])) == [("a", heard)]
    assert sorted(first.order) == list(range(len(first.windows)))
    again = Kept(first.windows)
    assert list(transcriber.transcribe([ToHear("a", lambda: [spoken], Hints(), again)])) == [("a", heard)]
    assert again.order == []


def test_a_recording_that_cannot_be_put_together_costs_only_itself(
    transcriber: Transcriber, spoken: Block, heard: Heard
) -> None:
    kept = Kept()
    list(transcriber.transcribe([ToHear("a", lambda: [spoken], Hints(), kept)]))
    whole, *_ = kept.windows[0]
    no_text: PlacedWord = dataclasses.replace(whole.words[0], text=None)  # type: ignore[arg-type]
    spoiled = Kept({**kept.windows, 0: (dataclasses.replace(whole, words=(no_text, *whole.words[1:])),)})
    found = dict(
        transcriber.transcribe(
            [ToHear("spoiled", lambda: [spoken], Hints(), spoiled), ToHear("good", lambda: [spoken], Hints())]
        )
    )
    assert isinstance(found["spoiled"], Exception)
    assert found["good"] == heard
