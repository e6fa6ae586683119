"""Whose fault it is when a server does not get a window done: the recording's alone, or the server's."""

import itertools

import numpy as np
import pytest

from diary_pipeline.audio.decode import decode
from diary_pipeline.core.errors import PermanentError, TransientError
from diary_pipeline.transcription.span import RATE
from diary_pipeline.transcription.transcriber import Block, Heard
from diary_pipeline_tests.transcription_server import Posted, Reply, refusal, transcription_server
from diary_pipeline_tests.unit.test_openai_compatible import SPOKEN, engine, heard_texts, numbered, one, speech_of


@pytest.fixture(scope="module")
def spoken() -> Block:
    """One window of speech."""
    return np.concatenate(list(decode(SPOKEN)))


@pytest.fixture(scope="module")
def long(spoken: Block) -> Block:
    """Several windows of speech."""
    return np.tile(spoken, int(np.ceil(100 * RATE / len(spoken))))


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("order", ["pab", "apb", "abp", "l"])
def test_a_window_that_a_server_never_gets_done_fails_its_recording_and_no_other(
    spoken: Block, long: Block, concurrency: int, order: str
) -> None:
    short = spoken[: len(spoken) // 2]
    poison = len(speech_of(short))
    audio = {"p": short, "a": spoken, "b": long, "l": np.concatenate([long, np.zeros(40 * RATE, np.float32), short])}
    count = itertools.count()

    def answer(posted: Posted) -> Reply:
        last = order == "l" and next(count) == 2  # of one long recording a window in the middle
        return refusal(500) if last or len(posted.samples) == poison else numbered()(posted)

    with transcription_server(answer) as double:
        found = dict(engine(double.url, concurrency=concurrency).transcribe([one(key, audio[key]) for key in order]))
    assert set(found) == set(order)
    for key, heard in found.items():
        if key in "pl":
            assert isinstance(heard, PermanentError)
            assert (heard.code, f"recording {key}" in heard.message) == ("transcription_stuck", True)
        else:
            assert heard_texts(heard)


@pytest.mark.parametrize(("concurrency", "answers"), [(1, 0), (1, 1), (1, 5), (4, 0)])
def test_a_server_that_dies_fails_no_recording(spoken: Block, long: Block, concurrency: int, answers: int) -> None:
    count = itertools.count()

    def answer(posted: Posted) -> Reply:
        return numbered()(posted) if next(count) < answers else refusal(500)

    recordings = [one(str(n), audio) for n, audio in enumerate([spoken, long, spoken, long, spoken])]
    found: list[Heard | Exception] = []
    with transcription_server(answer) as double, pytest.raises(TransientError) as ended:
        found.extend(heard for _, heard in engine(double.url, concurrency=concurrency).transcribe(recordings))
    assert ended.value.code == "transcription_server_stuck"
    assert all(isinstance(heard, Heard) for heard in found)
