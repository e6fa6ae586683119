"""Voice activity is not the only witness for silence: what stands out as speech does is inaudible."""

import numpy as np
import pytest

from diary_pipeline.transcription.heard import HeardWindow
from diary_pipeline.transcription.segments import segments_of
from diary_pipeline.transcription.span import RATE, Span
from diary_pipeline.transcription.speech.unheard import SecondMeter, unheard

ROOM, SPEECH = -60.0, -22.0


def spoken(*spans: tuple[int, int]) -> list[HeardWindow]:
    return [HeardWindow(tuple(Span(start * RATE, end * RATE) for start, end in spans))] if spans else []


@pytest.mark.parametrize(
    ("levels", "heard", "expected", "why"),
    [
        ([], [], [], "nothing at all"),
        ([ROOM] * 60, [], [], "an empty room"),
        ([-30.0] * 3600, [], [], "an hour of loud, even noise: nothing stands out"),
        ([-120.0] * 1800 + [-45.0] * 1800, [], [], "a recorder switched on later in an even room"),
        ([ROOM] * 20 + [SPEECH] * 5 + [ROOM] * 20, [], [(20, 25)], "as loud as speech, and nobody was found to speak"),
        ([ROOM] * 20 + [SPEECH] * 5 + [ROOM] * 20, spoken((20, 25)), [], "somebody was"),
        ([ROOM] * 20 + [SPEECH] * 2 + [ROOM] * 20, [], [], "a door"),
        ([ROOM] * 20 + [SPEECH] * 5 + [-35.0] * 9 + [ROOM] * 20, spoken((20, 25)), [], "a kettle behind the speaker"),
        ([ROOM] * 9 + [SPEECH] * 5 + [ROOM] * 9 + [-25.0] * 4, spoken((9, 14)), [(23, 27)], "as loud as the speaker"),
        ([-90.0] * 20 + [-58.0] * 20, [], [], "it stands out, but too soft to be held for speech"),
    ],
)
def test_sound_that_stands_out_is_not_called_silence(
    levels: list[float], heard: list[HeardWindow], expected: list[tuple[int, int]], why: str
) -> None:
    found = [(w.spans[0].start // RATE, w.spans[0].end // RATE) for w in unheard(levels, heard)]
    assert found == expected, why


def test_a_sound_between_two_spans_of_one_window_takes_its_place_in_time() -> None:
    window = spoken((0, 5), (20, 25))
    found = [*window, *unheard([SPEECH] * 5 + [ROOM] * 5 + [SPEECH] * 5 + [ROOM] * 5 + [SPEECH] * 5, window)]
    segments = segments_of(found, 25 * RATE)
    assert [(s.start_s, s.kind, s.reason) for s in segments] == [
        (0, "inaudible", "nothing_heard"),
        (5, "silence", None),
        (10, "inaudible", "sound_without_words"),
        (15, "silence", None),
        (20, "inaudible", "nothing_heard"),
    ]


def test_seconds_are_measured_whatever_the_sizes_of_the_blocks() -> None:
    audio = np.random.default_rng(1).normal(0, 0.1, 10 * RATE + 77).astype(np.float32)
    whole, parts = SecondMeter(), SecondMeter()
    assert sum(map(len, whole.watch([audio]))) == len(audio)
    list(parts.watch(np.split(audio, [1, 7000, RATE * 3, RATE * 3 + 1])))
    assert len(whole.levels) == 10
    assert list(whole.levels) == pytest.approx(list(parts.levels))
    assert memoryview(whole.levels).nbytes == 8 * 10  # a day of numbers of Python's own would be 2.8 MB
    assert whole.levels[0] == pytest.approx(-20, abs=0.2)
