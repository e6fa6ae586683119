"""Spans and windows equal those of faster-whisper's whole-file functions, and times map back to their words."""

import itertools
from pathlib import Path

import faster_whisper.vad
import numpy as np
import pytest
from faster_whisper.vad import VadOptions, collect_chunks, get_speech_timestamps

from diary_pipeline.audio.decode import decode
from diary_pipeline.transcription.span import RATE, Span
from diary_pipeline.transcription.speech.spans import FRAME, SpanFinder, SpeechRules
from diary_pipeline.transcription.speech.speech_activity import Silero
from diary_pipeline.transcription.speech.windows import Window, WindowCutter, windows
from diary_pipeline.transcription.transcriber import Block
from diary_pipeline_tests.recordings.faulty import DEMO

THEIRS = VadOptions(max_speech_duration_s=30, min_silence_duration_ms=160)


class Planned:
    """Speech probabilities known beforehand, and the random ones that faster-whisper is given in a test."""

    def __init__(self, probabilities: np.ndarray) -> None:
        self.probabilities = probabilities
        self.given = 0
        self.samples = 0

    def push(self, block: Block) -> list[float]:
        self.samples += len(block)
        start, self.given = self.given, self.samples // FRAME
        return [float(p) for p in self.probabilities[start : self.given]]

    def close(self) -> list[float]:
        return [float(p) for p in self.probabilities[self.given :]]

    def __call__(self, audio: np.ndarray) -> np.ndarray:
        assert len(audio) == FRAME * len(self.probabilities)
        return self.probabilities


def probabilities(seed: int, frames: int) -> np.ndarray:
    # Stretches of speech and silence of very different lengths, with hesitation in between, as Silero gives them.
    dice = np.random.default_rng(seed)
    longest = dice.choice([5, 30, 200, 2000])
    found: list[float] = []
    while len(found) < frames:
        level = dice.choice([0.02, 0.2, 0.4, 0.55, 0.95])
        found += list(np.clip(dice.normal(level, 0.05, dice.integers(1, longest)), 0, 1))
    return np.array(found[:frames], np.float32)


@pytest.mark.parametrize("seed", range(60))
def test_streamed_spans_and_windows_equal_those_of_the_whole_file(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = 512 * 3000 + (0, 1, 511)[seed % 3]
    audio = np.random.default_rng(seed).random(samples, np.float32)
    planned = Planned(probabilities(seed, samples // FRAME + 1))
    monkeypatch.setattr(faster_whisper.vad, "get_vad_model", lambda: planned)
    theirs = get_speech_timestamps(audio, THEIRS)
    chunks, metas = collect_chunks(audio, theirs, max_duration=30)
    blocks = np.split(audio, range(40_000, samples, 40_000))
    ours = list(windows(blocks, WindowCutter(planned)))
    assert [(s.start, s.end) for w in ours for s in w.spans] == [tuple(s.values()) for s in theirs]
    if theirs:
        assert [w.offset / RATE for w in ours] == [m["offset"] for m in metas]
        assert all(np.array_equal(w.audio, chunk) for w, chunk in zip(ours, chunks, strict=True))


@pytest.mark.parametrize("path", sorted(DEMO.glob("memo*")), ids=lambda p: p.name)
def test_real_speech_gives_the_same_windows_as_the_whole_file(path: Path) -> None:
    audio = np.concatenate(list(decode(path)))
    chunks, _ = collect_chunks(audio, get_speech_timestamps(audio, THEIRS), max_duration=30)
    ours = list(windows(decode(path, block_s=3.3), WindowCutter(Silero())))
    assert [len(w.audio) for w in ours] == [len(c) for c in chunks]
    assert all(np.array_equal(w.audio, chunk) for w, chunk in zip(ours, chunks, strict=True))


def test_speech_without_a_pause_is_cut_into_windows_of_thirty_seconds() -> None:
    seconds = 200
    planned = Planned(np.full(seconds * RATE // FRAME + 1, 0.9, np.float32))
    found = list(windows([np.ones(seconds * RATE, np.float32)], WindowCutter(planned)))
    assert all(w.length <= 30 * RATE for w in found)
    assert sum(w.length for w in found) == seconds * RATE


def test_what_is_kept_does_not_grow_with_the_silence() -> None:
    cutter = WindowCutter(Planned(np.zeros(40_000, np.float32)))
    for _ in range(100):
        cutter.push(np.zeros(5 * RATE, np.float32))
        assert len(cutter._kept) <= 6 * RATE


def test_a_span_comes_out_as_soon_as_its_end_is_settled() -> None:
    finder = SpanFinder(SpeechRules())
    found = [finder.frame(p) for p in [0.0] * 50 + [0.9] * 20 + [0.0] * 60]
    first = next(i for i, spans in enumerate(found) if spans)
    assert found[first] == [Span(50 * FRAME - 6400, 70 * FRAME + 6400)]
    assert first * FRAME - 70 * FRAME <= 2 * 6400 + FRAME
    assert list(itertools.chain(*found[first + 1 :], finder.close(130 * FRAME))) == []


WINDOW = Window(np.zeros(350, np.float32), (Span(1000, 1100), Span(2000, 2200), Span(2200, 2250)), 0)


@pytest.mark.parametrize(
    ("start", "end", "at", "why"),
    [
        (0, 50, Span(1000, 1050), "inside the first span"),
        (100, 150, Span(2000, 2050), "a start on the border belongs to the span that begins there"),
        (50, 100, Span(1050, 1100), "an end on the border belongs to the span that holds the sample before it"),
        (80, 110, Span(1080, 1100), "20 ms too long does not swallow the pause"),
        (95, 140, Span(2000, 2040), "20 ms too early neither"),
        (340, 400, Span(2240, 2250), "beyond the window is cut off"),
        (500, 600, Span(2250, 2250), "wholly beyond it is its last instant"),
        (-20, 10, Span(1000, 1010), "before it, too"),
        (70, 70, Span(1070, 1070), "no length is no length"),
        (90, 20, Span(1090, 1090), "an end before its start is the start"),
    ],
)
def test_times_on_the_speech_clock_map_back_to_samples(start: int, end: int, at: Span, why: str) -> None:
    assert WINDOW.place(start, end) == at, why
