"""Whatever the bytes are, a probe answers with facts or with a refusal that says what to do; it opens nothing else."""

import struct
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diary_pipeline.audio.decode import Decoder
from diary_pipeline.audio.limits import DEFAULT_LIMITS, AudioLimits
from diary_pipeline.audio.probe import probe
from diary_pipeline.core.errors import AudioRefused
from diary_pipeline_tests.builders import FORMATS, silence, speech_like, write_audio

CONTAINERS = {".wav": "wav", ".mp3": "mp3", ".flac": "flac", ".aac": "aac", ".amr": "amr"}
CONTAINERS |= dict.fromkeys((".ogg", ".opus", ".oga"), "ogg") | dict.fromkeys((".webm", ".mka"), "matroska")
CONTAINERS |= dict.fromkeys((".m4a", ".mp4", ".mov", ".3gp"), "mp4")
EXACT = set(CONTAINERS) - {".aac", ".amr"}
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov", "frag_duration": "1000000"}


def refused(path: Path, limits: AudioLimits = DEFAULT_LIMITS) -> AudioRefused:
    with pytest.raises(AudioRefused) as caught:
        probe(path, limits)
    error = caught.value
    assert error.message.startswith(path.name)
    assert str(path.parent) not in error.message
    assert error.message.endswith(".")
    return error


def wav_with_data_size(path: Path, size: int) -> Path:
    raw = bytearray(write_audio(path, speech_like(3)).read_bytes())
    at = raw.find(b"data") + 4
    raw[at : at + 4] = struct.pack("<I", size)
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_is_known_by_its_bytes(tmp_path: Path, suffix: str) -> None:
    disguised = write_audio(tmp_path / f"memo{suffix}", speech_like(2)).rename(tmp_path / "memo.txt")
    facts = probe(disguised, DEFAULT_LIMITS)
    assert facts.container == CONTAINERS[suffix]
    assert facts.codec
    assert (facts.channels, facts.size_bytes) == (1, disguised.stat().st_size)
    assert facts.sample_rate_hz in (8_000, 16_000, 48_000)
    if suffix in EXACT:
        assert facts.declared_s == pytest.approx(2, abs=0.15)
    else:
        assert facts.declared_s is None


def test_tags_come_in_lower_case(tmp_path: Path) -> None:
    tags = {"creation_time": "2026-03-04T19:30:00Z", "TITLE": "Walk"}
    found = probe(write_audio(tmp_path / "memo.flac", speech_like(1), tags=tags), DEFAULT_LIMITS).tags
    assert (found["creation_time"], found["title"]) == ("2026-03-04T19:30:00Z", "Walk")


PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:9,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n"
ABSURD_WAV = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0" + b"\xff" * 16 + b"data\x10\0\0\0" + b"x" * 16
NO_AUDIO = {
    "text.mp3": b"Dear diary, this is not a recording.\n" * 50,
    "random.wav": np.random.default_rng(7).bytes(300_000),
    "random.mp3": b"ID3\x04\0\0\0\0\0\0" + np.random.default_rng(8).bytes(3_000_000),
    "zeros.m4a": bytes(100_000),
    "m3u8.wav": PLAYLIST,
    "concat.mp3": b"ffconcat version 1.0\nfile /etc/passwd\n",
    "sdp.wav": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=audio 9 RTP/AVP 0\n",
    "page.html.ogg": b"<!doctype html><title>Sign in</title>" * 20,
    "id3.mp3": b"ID3\x04\0\0\0\0\x02\0" + bytes(256),
    "one.wav": b"R",
    "riff.wav": b"RIFF\xff\xff\xff\xffWAVE",
    "absurd.wav": ABSURD_WAV,
    "flac.flac": b"fLaC\x80\0\0\x22" + b"\xff" * 34,
    "loop.mp4": b"\0\0\0\x08moov" * 50_000,
}


@pytest.mark.parametrize("name", NO_AUDIO)
def test_what_is_no_audio_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(NO_AUDIO[name])
    assert refused(tmp_path / name).code in {"audio_unreadable", "audio_empty"}


def test_an_empty_file_is_named_so(tmp_path: Path) -> None:
    (tmp_path / "memo.wav").touch()
    assert refused(tmp_path / "memo.wav").code == "audio_empty"


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_a_header_without_sound_is_empty(tmp_path: Path, suffix: str) -> None:
    assert refused(write_audio(tmp_path / f"memo{suffix}", silence(0))).code == "audio_empty"


def test_a_film_without_sound_has_no_audio_track(tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    with path.open("wb") as file, av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("mpeg4", rate=25, width=64, height=64, pix_fmt="yuv420p")
        container.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        container.mux(stream.encode(None))
    assert "no audio track" in refused(path).message


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (AudioLimits(max_s=1.5), "audio_too_long"),
        (AudioLimits(min_s=2.5), "audio_too_short"),
        (AudioLimits(max_size_bytes=1000), "audio_too_large"),
    ],
)
def test_limits_are_held_by_the_header(tmp_path: Path, limits: AudioLimits, code: str) -> None:
    assert refused(write_audio(tmp_path / "memo.wav", speech_like(2)), limits).code == code


def test_an_estimate_refuses_only_what_is_far_beyond_the_limit(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "memo.mp3", speech_like(30), options={"write_xing": "0"})
    assert probe(path, AudioLimits(max_s=20)).declared_s is None
    assert refused(path, AudioLimits(max_s=5)).code == "audio_too_long"


@pytest.mark.parametrize("size", [0, 0xFFFF_FFFF, 0x7FFF_F000, 0x7FFF_FFFF])
def test_a_wav_of_unknown_size_promises_nothing(tmp_path: Path, size: int) -> None:
    assert probe(wav_with_data_size(tmp_path / "memo.wav", size), DEFAULT_LIMITS).declared_s is None


def test_a_wav_is_held_to_its_header_and_not_to_its_size(tmp_path: Path) -> None:
    assert probe(wav_with_data_size(tmp_path / "memo.wav", 32_000 * 100), DEFAULT_LIMITS).declared_s == 100


def test_a_fragmented_mp4_promises_nothing(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "memo.mp4", speech_like(5), options=FRAGMENTS)
    assert probe(path, DEFAULT_LIMITS).declared_s is None


@pytest.mark.parametrize(
    ("suffix", "options"),
    [(".ogg", None), (".m4a", None), (".m4a", {"movflags": "+faststart"}), (".mp4", FRAGMENTS)],
)
def test_a_torn_end_shows_in_the_bytes(tmp_path: Path, suffix: str, options: dict[str, str] | None) -> None:
    path = write_audio(tmp_path / f"memo{suffix}", speech_like(20), options=options)
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) * 2 // 3])
    assert refused(path).code == "audio_truncated"


def test_an_ogg_without_end_mark_is_whole(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "telegram.ogg", speech_like(20))
    raw = path.read_bytes()
    path.write_bytes(raw[: raw.rfind(b"OggS")])
    assert probe(path, DEFAULT_LIMITS).container == "ogg"


@pytest.mark.parametrize("suffix", FORMATS)
def test_flipped_and_missing_bytes_end_as_audio_or_as_a_refusal(tmp_path: Path, suffix: str) -> None:
    good = write_audio(tmp_path / f"good{suffix}", speech_like(0.7)).read_bytes()
    bad = tmp_path / f"bad{suffix}"

    # Every third flip falls into the first 200 bytes: headers are where a byte does the most harm.
    flip = st.one_of(st.integers(0, 200), st.integers(0, len(good) - 1), st.integers(0, len(good) - 1))

    @settings(max_examples=25, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(
        st.lists(st.tuples(flip, st.integers(1, 255)), min_size=1, max_size=30),
        st.one_of(st.just(len(good)), st.integers(1, len(good))),
    )
    def damage(flips: list[tuple[int, int]], length: int) -> None:
        raw = bytearray(good)
        for at, mask in flips:
            raw[at] ^= mask
        bad.write_bytes(raw[:length])
        try:
            probe(bad, DEFAULT_LIMITS)
            for block in Decoder(bad).blocks():
                assert np.isfinite(block).all()
        except AudioRefused:
            pass

    damage()
