"""Samples come out exactly as faster-whisper would decode them, in blocks, and damage is counted."""

import tracemalloc
from pathlib import Path

import av
import numpy as np
import pytest
from faster_whisper.audio import decode_audio

from diary_pipeline.audio.decode import RATE, Decoder, decode
from diary_pipeline.core.errors import AudioRefused
from diary_pipeline_tests.builders import FORMATS, Samples, silence, speech_like, write_audio


def whole(decoder: Decoder) -> Samples:
    return np.concatenate(list(decoder.blocks()))


def damaged_aac(path: Path) -> Path:
    raw = bytearray(write_audio(path, speech_like(30)).read_bytes())
    start = len(raw) // 3
    raw[start : start + 3000] = b"\xa5" * 3000
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
@pytest.mark.parametrize("suffix", [".wav", ".mp3", ".ogg", ".flac", ".m4a", ".webm", ".aac"])
def test_samples_equal_decode_audio(tmp_path: Path, suffix: str, rate: int) -> None:
    path = write_audio(tmp_path / f"memo{suffix}", speech_like(5.3, rate), rate)
    decoder = Decoder(path, block_s=0.7)
    assert np.array_equal(whole(decoder), decode_audio(str(path)))
    assert decoder.damaged_packets == 0


def test_stereo_is_mixed_as_decode_audio_does(tmp_path: Path) -> None:
    path = tmp_path / "stereo.wav"
    both = np.stack([speech_like(2, 44_100), speech_like(2, 44_100, pitch_hz=210)], axis=1)
    with path.open("wb") as file, av.open(file, "w", format="wav") as container:
        stream = container.add_stream("pcm_s16le", rate=44_100, layout="stereo")
        pcm = (both * 32767).astype(np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="stereo")
        frame.rate = 44_100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert np.array_equal(whole(Decoder(path)), decode_audio(str(path)))


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_decodes_to_its_length(tmp_path: Path, suffix: str) -> None:
    decoder = Decoder(write_audio(tmp_path / f"memo{suffix}", speech_like(2)))
    assert whole(decoder).size == decoder.samples
    assert decoder.samples / RATE == pytest.approx(2, abs=0.15)


def test_blocks_are_whole_but_for_the_last(tmp_path: Path) -> None:
    blocks = list(decode(write_audio(tmp_path / "memo.wav", speech_like(5)), block_s=2))
    assert [b.size for b in blocks] == [32_000, 32_000, 16_000]
    assert {b.dtype for b in blocks} == {np.dtype(np.float32)}
    assert {b.ndim for b in blocks} == {1}


def test_memory_does_not_grow_with_the_recording(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "long.flac", silence(1200))
    tracemalloc.start()
    try:
        samples = sum(block.size for block in decode(path, block_s=8))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert samples == 1200 * RATE
    assert peak < 8 * RATE * 4 * 4


def test_damage_is_counted_and_what_follows_is_kept(tmp_path: Path) -> None:
    decoder = Decoder(damaged_aac(tmp_path / "memo.aac"))
    assert whole(decoder).size > 25 * RATE
    assert decoder.damaged_packets > 0


def test_a_second_pass_starts_its_counts_again(tmp_path: Path) -> None:
    decoder = Decoder(damaged_aac(tmp_path / "memo.aac"))
    first = (whole(decoder).size, decoder.samples, decoder.damaged_packets)
    assert (whole(decoder).size, decoder.samples, decoder.damaged_packets) == first


def test_a_recorder_that_never_closed_its_wav_did_no_damage(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "memo.wav", speech_like(3))
    raw = bytearray(path.read_bytes())
    at = raw.find(b"data") + 4
    raw[at : at + 4] = bytes(4)
    path.write_bytes(raw)
    decoder = Decoder(path)
    assert whole(decoder).size == 3 * RATE
    assert decoder.damaged_packets == 0


def test_two_files_joined_at_different_rates_are_both_heard(tmp_path: Path) -> None:
    first = write_audio(tmp_path / "a.mp3", speech_like(3, 16_000), 16_000).read_bytes()
    second = write_audio(tmp_path / "b.mp3", speech_like(3, 44_100), 44_100).read_bytes()
    joined = tmp_path / "joined.mp3"
    joined.write_bytes(first + second)
    assert whole(Decoder(joined)).size / RATE == pytest.approx(6, abs=0.3)


def test_nothing_to_decode_is_refused_by_name(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "memo.wav", silence(0))
    with pytest.raises(AudioRefused, match=r"memo\.wav"):
        list(Decoder(path).blocks())


def test_a_header_with_absurd_channels_is_refused_by_name(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "memo.wav", speech_like(1))
    raw = bytearray(path.read_bytes())
    raw[22:24] = (2049).to_bytes(2, "little")
    path.write_bytes(raw)
    with pytest.raises(AudioRefused, match=r"memo\.wav"):
        list(Decoder(path).blocks())


def test_a_missing_file_is_not_called_bad_audio(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(decode(tmp_path / "gone.wav"))
