"""Samples to audio files, by file name: wav, mp3, m4a, ogg (Opus) and flac.

Serves whatever speaks, breaks or lays out recordings here; decoding is the product's business
(`diary_pipeline/audio/`). PyAV's wheel bundles the codecs, so no ffmpeg program is needed. Files are bit-exact: the
same samples and the same PyAV give the same bytes.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np

FRAME_SAMPLES = 4800


@dataclass(frozen=True)
class Codec:
    """How one container is written."""

    name: str
    rate: int
    bit_rate: int | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    """Of the encoder, by their names in FFmpeg."""
    muxer_options: Mapping[str, str] = field(default_factory=dict)


# Lossless files at Whisper's own 16 kHz: they are the bulk of the set. Opus takes 48 kHz, whatever was spoken.
CODECS = {
    ".wav": Codec("pcm_s16le", 16_000),
    ".flac": Codec("flac", 16_000),
    ".mp3": Codec("libmp3lame", 24_000, 48_000),
    ".m4a": Codec("aac", 24_000, 48_000),
    ".ogg": Codec("libopus", 48_000, 24_000),
}


def resample(samples: np.ndarray, rate: int, to: int) -> np.ndarray:
    """Change the rate of mono float samples."""
    if rate == to:
        return samples
    resampler = av.AudioResampler(format="flt", layout="mono", rate=to)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None], np.float32), format="flt", layout="mono")
    frame.sample_rate = rate
    pieces = [*resampler.resample(frame), *resampler.resample(None)]
    return np.concatenate([piece.to_ndarray().ravel() for piece in pieces])


def write(path: Path, samples: np.ndarray, rate: int, tags: Iterable[tuple[str, str]] = ()) -> None:
    """Write mono float samples in the container that the file name asks for."""
    codec = CODECS[path.suffix]
    _encode(path, codec, [resample(samples, rate, codec.rate)], tags)


def write_blocks(path: Path, blocks: Iterable[np.ndarray], rate: int, codec: Codec | None = None) -> None:
    """Write what comes block by block, in memory that does not grow with it."""
    codec = codec or CODECS[path.suffix]
    _encode(path, codec, blocks if rate == codec.rate else _resampled(blocks, rate, codec.rate), ())


def _encode(path: Path, codec: Codec, blocks: Iterable[np.ndarray], tags: Iterable[tuple[str, str]]) -> None:
    # Without bitexact, ogg gets a random serial number and every container the library's version.
    with av.open(str(path), "w", options={"fflags": "+bitexact", **codec.muxer_options}) as container:
        container.metadata.update(dict(tags))
        stream = container.add_stream(codec.name, rate=codec.rate, layout="mono", options=dict(codec.options))
        if codec.bit_rate:
            stream.bit_rate = codec.bit_rate
        at = 0
        for samples in _framed(blocks):
            pcm = (np.clip(samples, -1, 1) * 32767).astype("<i2")
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(pcm[None]), format="s16", layout="mono")
            frame.sample_rate, frame.pts = codec.rate, at
            container.mux(stream.encode(frame))
            at += len(pcm)
        container.mux(stream.encode(None))


def _framed(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    rest = np.zeros(0, np.float32)
    for block in blocks:
        waiting = np.concatenate([rest, block]) if len(rest) else block
        whole = len(waiting) // FRAME_SAMPLES * FRAME_SAMPLES
        yield from waiting[:whole].reshape(-1, FRAME_SAMPLES)
        rest = waiting[whole:]
    if len(rest):
        yield rest


def _resampled(blocks: Iterable[np.ndarray], rate: int, to: int) -> Iterator[np.ndarray]:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=to)
    for block in blocks:
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block[None], np.float32), format="flt", layout="mono")
        frame.sample_rate = rate
        for piece in resampler.resample(frame):
            yield piece.to_ndarray().ravel()
    for piece in resampler.resample(None):
        yield piece.to_ndarray().ravel()
