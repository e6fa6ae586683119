"""Things that tests are made of: sound, files, recordings, transcripts. All of it comes out the same every time.

`speech_like` is loud where somebody would speak and silent in between; no recogniser hears words in it. Real speech is
a sample file's business.
"""

import dataclasses
import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from diary_pipeline.core.recording import RecordedAt, Recording, partition_key
from diary_pipeline.core.transcript import Engine, Segment, Transcript, Word, transcript_version
from diary_pipeline.storage.keys import audio_key

RATE = 16_000
Samples = npt.NDArray[np.float32]

# suffix: PyAV's container format, its encoder, the rates the encoder takes (empty: any).
FORMATS: Mapping[str, tuple[str, str, tuple[int, ...]]] = {
    ".wav": ("wav", "pcm_s16le", ()),
    ".mp3": ("mp3", "libmp3lame", ()),
    ".flac": ("flac", "flac", ()),
    ".ogg": ("ogg", "libopus", (48_000,)),
    ".opus": ("ogg", "libopus", (48_000,)),
    ".oga": ("ogg", "flac", ()),
    ".m4a": ("ipod", "aac", ()),
    ".mp4": ("mp4", "aac", ()),
    ".mov": ("mov", "aac", ()),
    ".aac": ("adts", "aac", ()),
    ".webm": ("webm", "libopus", (48_000,)),
    ".mka": ("matroska", "libopus", (48_000,)),
    ".3gp": ("3gp", "libopencore_amrnb", (8_000,)),
    ".amr": ("amr", "libopencore_amrnb", (8_000,)),
}


def silence(seconds: float, rate: int = RATE) -> Samples:
    """Return digital silence."""
    return np.zeros(round(seconds * rate), np.float32)


def speech_like(
    seconds: float,
    rate: int = RATE,
    *,
    level: float = 0.3,
    burst_s: float = 0.6,
    pause_s: float = 0.2,
    pitch_hz: float = 140.0,
) -> Samples:
    """Return harmonic bursts with pauses, beginning with a burst; `level` is the peak."""
    t = np.arange(round(seconds * rate)) / rate
    voice = sum(np.sin(2 * np.pi * pitch_hz * k * t + k) / k for k in range(1, 9))
    phase = t % (burst_s + pause_s)
    shape = np.where(phase < burst_s, np.sin(np.pi * np.clip(phase / burst_s, 0, 1)) ** 0.5, 0.0)
    sound = voice * shape
    peak = float(np.max(np.abs(sound), initial=0.0))
    return (sound * (level / peak if peak else 0.0)).astype(np.float32)


def write_audio(
    path: Path,
    samples: Samples,
    rate: int = RATE,
    tags: Mapping[str, str] | None = None,
    *,
    options: Mapping[str, str] | None = None,
    bit_rate: int | None = None,
) -> Path:
    """Encode mono samples by the path's suffix (see FORMATS), with tags and muxer options; return the path."""
    container_format, codec, rates = FORMATS[path.suffix]
    target = rate if not rates or rate in rates else rates[0]
    muxer = {"movflags": "use_metadata_tags", **(options or {})} if path.suffix in {".mp4", ".mov", ".m4a"} else options
    with path.open("wb") as file, av.open(file, "w", format=container_format, options=dict(muxer or {})) as container:
        container.metadata.update(tags or {})
        stream = container.add_stream(codec, rate=target, layout="mono")
        if bit_rate:
            stream.bit_rate = bit_rate
        resampler = av.AudioResampler(format=stream.format, layout="mono", rate=target, frame_size=0)
        pcm = np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16)
        for start in range(0, len(pcm), rate):
            frame = av.AudioFrame.from_ndarray(pcm[None, start : start + rate], format="s16", layout="mono")
            frame.rate = rate
            frame.pts = start
            for ready in resampler.resample(frame):
                container.mux(stream.encode(ready))
        for ready in resampler.resample(None):
            container.mux(stream.encode(ready))
        container.mux(stream.encode(None))
    return path


def make_recording(**changes: Any) -> Recording:
    """Return a recording of one minute; the key follows from owner, content and day unless it is given."""
    at = dt.datetime(2026, 3, 7, 6, 45, tzinfo=dt.UTC)
    owner = changes.get("owner", "me")
    file_name = changes.get("file_name", "Morning walk.m4a")
    content = changes.get("content_sha256") or hashlib.sha256(f"{owner}/{file_name}".encode()).hexdigest()
    recorded_at = changes.get("recorded_at") or RecordedAt(at, "UTC", "container_utc", 0.8, at.date())
    recording = Recording(
        key=partition_key(recorded_at.day, file_name, owner, content),
        owner=owner,
        content_sha256=content,
        file_name=file_name,
        object_key=audio_key(owner, content),
        size_bytes=480_000,
        container="mp4",
        declared_s=60.0,
        recorded_at=recorded_at,
        whisper_model="tiny.en",
        submission_id=f"sub-{content[:8]}",
    )
    return dataclasses.replace(recording, **changes)


def make_transcript(texts: Sequence[str], **changes: Any) -> Transcript:
    """Return a transcript with one speech segment a sentence, a quarter second of silence between and after them."""
    segments: list[Segment] = []
    at = 0.0
    language = changes.get("language", "en")
    for text in texts:
        words = []
        start = at
        for word in text.split():
            length = round(0.15 + 0.05 * len(word), 2)
            words.append(Word(word, round(at, 2), round(at + length, 2), 0.95))
            at = round(at + length, 2)
        segments.append(Segment(len(segments), start, at, "speech", text, language, -0.2, 0.01, 1.4, tuple(words)))
        segments.append(Segment(len(segments), at, round(at + 0.25, 2), "silence"))
        at = round(at + 0.25, 2)
    engine = changes.get("engine") or Engine("scripted", "script", "0" * 64)
    key = changes.get("recording_key") or make_recording().key
    transcript = Transcript(
        recording_key=key,
        duration_s=at,
        language=language if texts else None,
        language_probability=0.99 if texts else 0.0,
        segments=tuple(segments),
        engine=engine,
        version=transcript_version(hashlib.sha256("\n".join([key, *texts]).encode()).hexdigest(), engine.key),
    )
    return dataclasses.replace(transcript, **changes)
