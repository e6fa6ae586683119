"""Quiet passages are raised, loud ones and silence are left alone, and the sizes of blocks change nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diary_pipeline.transcription.span import RATE
from diary_pipeline.transcription.speech.leveller import LEVEL_RULES, level_of, levelled
from diary_pipeline.transcription.transcriber import Block
from diary_pipeline_tests.builders import speech_like

PIECE = round(LEVEL_RULES.piece_s * RATE)


def at(level: float, seconds: float = 8.0) -> Block:
    tone = np.sin(np.arange(round(seconds * RATE)) * 0.1).astype(np.float32)
    return tone * np.float32(10 ** (level / 20) * np.sqrt(2))


def through(audio: Block, *sizes: int) -> Block:
    blocks = np.split(audio, np.cumsum(sizes)) if sizes else [audio]
    return np.concatenate([np.zeros(0, np.float32), *levelled(blocks)])


@pytest.mark.parametrize(
    ("level", "expected", "why"),
    [
        (-12, -12, "loud speech"),
        (-38, -38, "soft speech is recognised as it is"),
        (-46, -20, "quiet speech is raised to where speech usually lies"),
        (-75, -20, "speech recorded across a room with the gain at its least"),
        (-90, -90, "the rounding of silence"),
    ],
)
def test_a_quiet_piece_is_raised(level: float, expected: float, why: str) -> None:
    assert level_of(through(at(level))) == pytest.approx(expected, abs=0.3), why


def test_digital_silence_stays_silence() -> None:
    assert not through(np.zeros(20 * RATE, np.float32)).any()


def test_a_loud_opening_does_not_keep_a_murmured_end_quiet() -> None:
    found = through(np.concatenate([at(-15), at(-50)]))
    assert level_of(found[:PIECE]) == pytest.approx(-15, abs=0.3)
    assert level_of(found[PIECE:]) == pytest.approx(-20, abs=0.3)


@pytest.mark.parametrize("offset", [0.02, -0.3])
def test_a_constant_offset_does_not_hide_quiet_speech(offset: float) -> None:
    found = through(np.concatenate([at(-55), at(-15)]) + np.float32(offset))
    assert level_of(found[:PIECE]) == pytest.approx(-20, abs=0.3)
    assert level_of(found[PIECE:]) == pytest.approx(-15, abs=0.3)
    assert abs(float(found.mean())) < 1e-4


def test_sound_recordings_reach_the_model_bit_by_bit() -> None:
    audio = speech_like(20)
    assert np.array_equal(through(audio), audio)


def test_one_click_does_not_keep_a_passage_quiet_and_is_cut_off() -> None:
    quiet = at(-60)
    quiet[4 * RATE : 4 * RATE + 16] = 0.02
    found = through(quiet)
    assert level_of(found[: 3 * RATE]) > -30
    assert np.abs(found).max() <= 1.0


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(0, 3 * PIECE), max_size=6))
def test_the_sizes_of_blocks_change_nothing_and_no_sample_is_lost(sizes: list[int]) -> None:
    audio = np.concatenate([speech_like(9), speech_like(11) * np.float32(0.003)])
    assert np.array_equal(through(audio, *sizes), through(audio))
    assert len(through(audio, *sizes)) == len(audio)
