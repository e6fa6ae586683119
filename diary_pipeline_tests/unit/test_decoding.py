"""What becomes of a model call that fails. The model is a stand-in, because devices do not fail to order."""

from typing import Any

import numpy as np
import pytest

from diary_pipeline.core.errors import ServiceMissing
from diary_pipeline.transcription.span import Span
from diary_pipeline.transcription.speech.windows import Window
from diary_pipeline.transcription.transcriber import Hints
from diary_pipeline.transcription.whisper.decoding import Asked, BatchDecoder, Language, OutOfMemory, language_of


class BrokenDevice:
    """A loaded model whose device fails at once."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.asked: list[int] = []

    def encode(self, features: np.ndarray) -> None:
        self.asked.append(len(features))
        raise self.error


def windows(count: int) -> list[Asked]:
    window = Window(np.zeros(16_000, np.float32), (Span(0, 16_000),), 0)
    return [Asked(window, np.zeros((80, 100), np.float32), Hints(), Language("en", 1.0), True) for _ in range(count)]


@pytest.mark.parametrize(
    ("error", "expected", "says"),
    [
        (RuntimeError("CUDA failed with error an illegal memory access was encountered"), ServiceMissing, "GPU failed"),
        (RuntimeError("bad shape"), RuntimeError, "bad shape"),
        (RuntimeError("CUDA failed with error out of memory"), OutOfMemory, "out of memory"),
        (MemoryError("std::bad_alloc"), OutOfMemory, "bad_alloc"),
    ],
)
def test_a_device_that_fails_is_told_from_a_bad_window(error: Exception, expected: type[Exception], says: str) -> None:
    device: Any = BrokenDevice(error)
    with pytest.raises(expected, match=says):
        BatchDecoder(lambda: device, 1, {}).decode(windows(4))


@pytest.mark.parametrize(
    ("owned", "before", "chosen", "sure"),
    [
        ((), None, "en", 0.5),
        (("en",), None, "en", 0.5),
        (("de", "en"), None, "en", 0.5),
        (("de", "en"), "de", "en", 0.5),
        ((), "de", "de", 0.05),  # half sure among all languages is not enough to leave the recording's
        (("cy", "en"), "cy", "cy", 0.3),
    ],
)
def test_the_language_of_a_window_is_chosen_among_the_owners(
    owned: tuple[str, ...], before: str | None, chosen: str, sure: float
) -> None:
    window = Window(np.zeros(48_000, np.float32), (Span(0, 48_000),), 0)
    expected = Language(before, 0.9) if before else None
    asked = Asked(window, None, Hints(languages=owned), expected, False)
    found = language_of(asked, [("<|en|>", 0.5), ("<|cy|>", 0.3), ("<|ja|>", 0.1667), ("<|de|>", 0.0333)])
    assert found.code == chosen
    assert found.probability == pytest.approx(sure, abs=0.02)
