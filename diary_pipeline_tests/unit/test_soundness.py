"""A recording that is not whole is refused, one that is merely imperfect is not."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from diary_pipeline.audio.decode import Decoder
from diary_pipeline.audio.levels import LevelMeter
from diary_pipeline.audio.limits import DEFAULT_LIMITS, AudioLimits
from diary_pipeline.audio.probe import probe
from diary_pipeline.audio.soundness import Measured, judge, measured
from diary_pipeline.core.errors import AudioRefused
from diary_pipeline.core.recording import AudioFacts
from diary_pipeline_tests.builders import FORMATS, speech_like, write_audio

WHOLE = Measured(600.0, 9_600_000, 0, -6.0, -24.0, 0.0)


def verdict(declared_s: float | None = 600.0, limits: AudioLimits = DEFAULT_LIMITS, **changes: Any) -> str | None:
    found = dataclasses.replace(WHOLE, **changes)
    try:
        judge(declared_s, found, file_name="memo.wav", limits=limits)
    except AudioRefused as error:
        assert error.message.startswith("memo.wav")
        return error.code
    return None


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, None),
        ({"duration_s": 599.6}, None),
        ({"duration_s": 599.4}, "audio_truncated"),
        ({"duration_s": 300.0}, "audio_truncated"),
        ({"duration_s": 0.1}, "audio_truncated"),
        ({"duration_s": 700.0}, None),
        ({"duration_s": 300.0, "declared_s": None}, None),
        ({"damaged_packets": 60}, None),
        ({"damaged_packets": 61}, "audio_unreadable"),
        ({"damaged_packets": 10, "duration_s": 598.5}, None),
        ({"damaged_packets": 10, "duration_s": 590.0}, "audio_truncated"),
        ({"damaged_packets": 3, "duration_s": 1.0, "declared_s": 1.0}, None),
        ({"damaged_packets": 4, "duration_s": 1.0, "declared_s": 1.0}, "audio_unreadable"),
        ({"duration_s": 0.2, "declared_s": None}, "audio_too_short"),
        ({"duration_s": 0.3, "declared_s": None}, None),
        ({"duration_s": 90_000.0, "declared_s": None}, "audio_too_long"),
        ({"limits": AudioLimits(max_s=599.0)}, "audio_too_long"),
        ({"peak_dbfs": -120.0, "rms_dbfs": -120.0}, None),
        ({"clipped_share": 0.9}, None),
    ],
)
def test_verdicts(changes: dict[str, Any], code: str | None) -> None:
    assert verdict(**changes) == code


def decoded(path: Path) -> tuple[AudioFacts, Measured]:
    facts, decoder, meter = probe(path, DEFAULT_LIMITS), Decoder(path), LevelMeter()
    for block in decoder.blocks():
        meter.push(block)
    return facts, measured(decoder, meter)


def refusal(path: Path) -> AudioRefused:
    facts, found = decoded(path)
    with pytest.raises(AudioRefused) as caught:
        judge(facts.declared_s, found)
    return caught.value


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
@pytest.mark.parametrize("suffix", FORMATS)
def test_a_good_file_of_any_format_is_sound(tmp_path: Path, suffix: str, rate: int) -> None:
    facts, found = decoded(write_audio(tmp_path / f"memo{suffix}", speech_like(4, rate), rate))
    judge(facts.declared_s, found)
    assert found.samples == pytest.approx(4 * 16_000, abs=4000)  # aac without a container keeps its padding
    assert found.peak_dbfs > -20


@pytest.mark.parametrize("suffix", [".wav", ".mp3", ".flac", ".webm"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_file_cut_short_is_truncated(tmp_path: Path, suffix: str, share: float) -> None:
    path = write_audio(tmp_path / f"memo{suffix}", speech_like(20))
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * share)])
    assert refusal(path).code == "audio_truncated"


def test_a_wav_whose_header_promises_more_than_it_holds_is_truncated(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "memo.wav", speech_like(1))
    path.write_bytes(path.read_bytes()[: 7_500 * 2])
    error = refusal(path)
    assert error.code == "audio_truncated"
    assert "promises 1.0 s but holds 0.5 s" in error.message


def test_a_file_full_of_damage_is_unreadable(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "memo.aac", speech_like(20))
    raw = bytearray(path.read_bytes())
    for at in range(2000, len(raw) - 200, 1500):
        raw[at : at + 200] = b"\xa5" * 200
    path.write_bytes(raw)
    assert refusal(path).code == "audio_unreadable"
