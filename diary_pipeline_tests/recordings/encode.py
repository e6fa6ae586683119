"""Samples to audio files, by file name: wav, mp3, m4a, ogg (Opus) and flac.

Serves speak.py and faulty.py; decoding is the product's business (`diary_pipeline/audio/`). PyAV's wheel bundles the
codecs, so no ffmpeg program is needed. Files are bit-exact: the same samples and the same PyAV give the same bytes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
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
    pcm = (np.clip(resample(samples, rate, codec.rate), -1, 1) * 32767).astype("<i2")
    # Without bitexact, ogg gets a random serial number and every container the library's version.
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        container.metadata.update(dict(tags))
        stream = container.add_stream(codec.name, rate=codec.rate, layout="mono")
        if codec.bit_rate:
            stream.bit_rate = codec.bit_rate
        for start in range(0, len(pcm), FRAME_SAMPLES):
            block = np.ascontiguousarray(pcm[None, start : start + FRAME_SAMPLES])
            frame = av.AudioFrame.from_ndarray(block, format="s16", layout="mono")
            frame.sample_rate, frame.pts = codec.rate, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
