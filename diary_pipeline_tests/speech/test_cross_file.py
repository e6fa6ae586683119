"""Recordings heard together equal recordings heard alone by faster-whisper's own per-file path."""

import random
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import pytest
from faster_whisper import BatchedInferencePipeline, WhisperModel
from faster_whisper.transcribe import Segment as TheirSegment

from diary_pipeline.audio.decode import decode
from diary_pipeline.transcription.heard import HeardWindow
from diary_pipeline.transcription.span import RATE
from diary_pipeline.transcription.transcriber import Block, Hints, ToHear
from diary_pipeline.transcription.whisper.cross_file import CrossFile
from diary_pipeline.transcription.whisper.decoding import BatchDecoder, Figures, Language
from diary_pipeline.transcription.whisper.listening import Listening
from diary_pipeline.transcription.whisper.log_mel import LogMel
from diary_pipeline_tests.recordings.faulty import DEMO
from diary_pipeline_tests.weights import weights

pytestmark = pytest.mark.speech


@cache
def model(name: str, compute_type: str) -> WhisperModel:
    return WhisperModel(str(weights(name)), device="cpu", compute_type=compute_type, cpu_threads=1)


@cache
def clips() -> dict[str, Block]:
    """Short, long, quiet, noisy, with pauses, without speech: everything that shares a batch in practice."""
    spoken = {
        path.name: np.concatenate(list(decode(path))) for path in sorted(DEMO.iterdir()) if path.suffix != ".json"
    }
    names = list(spoken)
    rng = np.random.default_rng(7)
    pause = np.zeros(3 * RATE, np.float32)
    long = np.concatenate([part for name in names[:4] for part in (spoken[name], pause)])
    noisy = spoken[names[5]] + rng.normal(0, 0.01, len(spoken[names[5]])).astype(np.float32)
    return {
        **{name: spoken[name] for name in names[:6]},
        "first words": spoken[names[6]][: 3 * RATE],
        "half a second": spoken[names[7]][RATE : RATE + RATE // 2],
        "three windows": long,
        "hiss": noisy,
        "softer": spoken[names[8]] * np.float32(0.2),
        "silence": pause,
    }


def together(
    loaded: WhisperModel,
    keys: Sequence[str],
    batch_size: int,
    *,
    hints: Hints | None = None,
    figures: Figures | None = None,
) -> dict[str, Listening]:
    figures = {} if figures is None else figures
    forced = None if loaded.model.is_multilingual else Language("en", 1.0)
    run = CrossFile(
        BatchDecoder(lambda: loaded, 5, figures),
        lambda asked: Listening(asked, forced, "0" * 64),
        lambda audio: LogMel(loaded.feature_extractor, "cpu").features([audio])[0],
        lambda _window, heard, _hints, _language: (heard,),
        lambda _: None,
        figures=figures,
        batch_size=batch_size,
        threads=2,
    )
    found = {}
    for key, listening in run.run(ToHear(key, opened(key), hints or Hints()) for key in keys):
        assert isinstance(listening, Listening)
        found[key] = listening
    return found


def opened(key: str) -> Callable[[], list[Block]]:
    return lambda: [clips()[key]]


def alone(loaded: WhisperModel, key: str, hotwords: str | None = None) -> tuple[list[TheirSegment], str]:
    segments, info = BatchedInferencePipeline(loaded).transcribe(
        clips()[key], batch_size=8, word_timestamps=True, hotwords=hotwords
    )
    return list(segments), info.language


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tiny.en"])
def test_text_tokens_and_language_equal_the_per_file_path_in_float32(name: str) -> None:
    loaded = model(name, "float32")
    found = together(loaded, list(clips()), 8)
    assert found.keys() == clips().keys()
    for key, listening in found.items():
        theirs, language = alone(loaded, key)
        assert [list(w.tokens) for w in listening.heard if w.tokens] == [s.tokens for s in theirs], key
        assert " ".join(w.text for w in listening.heard) == " ".join(s.text.strip() for s in theirs), key
        if theirs:
            assert listening.language is not None
            assert listening.language.code == language
        mine = [(word, window) for window in listening.heard for word in window.words]
        for (word, window), other in zip(mine, (w for s in theirs for w in s.words or []), strict=True):
            assert word.text == other.word
            # Theirs may stick out of the speech they lie in and overlap the next word; ours are cut at its border.
            (span,) = [span for span in window.spans if span.start <= word.at.start and word.at.end <= span.end][:1]
            for ours, their in ((word.at.start, other.start), (word.at.end, other.end)):
                assert abs(ours / RATE - np.clip(their, span.start / RATE, span.end / RATE)) <= 0.1, key


@pytest.mark.slow
def test_what_shares_a_batch_changes_neither_words_nor_scores_and_times_within_a_tenth() -> None:
    loaded = model("tiny.en", "int8")
    keys = list(clips())
    expected = {key: listening.heard for key, listening in together(loaded, keys, 8).items()}
    for seed, batch_size in ((1, 3), (2, 16)):
        random.Random(seed).shuffle(keys)
        again = together(loaded, keys, batch_size)
        for key, listening in again.items():
            assert [same(window) for window in listening.heard] == [same(window) for window in expected[key]], key
            ours, theirs = ([w for window in heard for w in window.words] for heard in (listening.heard, expected[key]))
            for one, other in zip(ours, theirs, strict=True):
                # Neighbours in a call round differently: by 60 ms and 0.011 at most where it was looked at.
                assert abs(one.at.start - other.at.start) <= 0.1 * RATE, (key, one, other)
                assert abs(one.at.end - other.at.end) <= 0.1 * RATE, (key, one, other)
                assert one.probability == pytest.approx(other.probability, abs=0.05)


def same(window: HeardWindow) -> tuple[object, ...]:
    return window.spans, window.tokens, window.text, window.language, round(window.avg_logprob or 0.0, 3), window.risks


def test_short_recordings_fill_the_batches_together() -> None:
    figures: Figures = {}
    together(
        model("tiny.en", "int8"), ["half a second"], 4
    )  # voice activity is loaded once, and nobody waits for it long
    together(model("tiny.en", "int8"), [key for key in clips() if len(clips()[key]) < 30 * RATE], 4, figures=figures)
    assert figures["windows"] / (4 * figures["batches"]) > 0.8


@pytest.mark.slow
def test_with_hot_words_too_the_tokens_equal_the_per_file_path() -> None:
    loaded = model("tiny.en", "float32")
    names = ("Hellen", "Martta", "Olivier")
    for key, listening in together(loaded, list(clips())[:3], 8, hints=Hints(vocabulary=names)).items():
        theirs, _ = alone(loaded, key, ", ".join(names))
        assert [list(w.tokens) for w in listening.heard] == [s.tokens for s in theirs], key
