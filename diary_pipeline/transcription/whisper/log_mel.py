"""Log-mel features of a batch of windows: what Whisper's encoder sees.

faster-whisper's own extractor on the CPU, the same steps in torch on a GPU. What a window is stands in windows.py. On
a CPU torch is left alone: it is 1.5 times as fast, but moves values by up to 2e-5, and the words with them.

What surprises: a window shorter than 30 s is filled up with zeros, not with the features of silence, and its loudest
frame is looked for before that, in one frame more than is kept. Anything else shifts all values of the window.
"""

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from diary_pipeline.observability.logs import log
from diary_pipeline.transcription.transcriber import Block

FRAMES = 3000
FILL = 160
"""Zeros behind the audio, as in faster-whisper: one hop."""

Features = npt.NDArray[np.float32]
logger = log(__name__)


class FeatureExtractor(Protocol):
    """faster-whisper's, of one model."""

    n_fft: int
    hop_length: int
    mel_filters: Features

    def __call__(self, waveform: Block) -> Features:
        """Return the features of some audio, one frame more than Whisper takes."""


class LogMel:
    """Makes features where the model runs."""

    def __init__(self, extractor: FeatureExtractor, device: str) -> None:
        self._mels = len(extractor.mel_filters)
        on_gpu = made_by(device) == "torch"
        self._into = torch_features(extractor, "cuda") if on_gpu else numpy_features(extractor)

    def features(self, windows: Sequence[Block]) -> Features:
        """Return an array of (windows, mels, 3000); each window at most 30 s of 16 kHz audio and not empty."""
        batch = np.zeros((len(windows), self._mels, FRAMES), np.float32)
        self._into(windows, batch)
        return batch


def made_by(device: str) -> Literal["numpy", "torch"]:
    """Say who makes the features for a model that runs on `cpu` or `cuda`."""
    return "torch" if device == "cuda" and torch_has_gpu() else "numpy"


def torch_has_gpu() -> bool:
    """Say whether torch is installed and sees a GPU; one that is broken is as good as none."""
    if importlib.util.find_spec("torch") is None:
        return False
    try:
        import torch

        return bool(torch.cuda.is_available())
    except (ImportError, OSError, RuntimeError) as error:
        logger.warning("torch_broken", why=type(error).__name__)
        return False


def numpy_features(extractor: FeatureExtractor) -> Callable[[Sequence[Block], Features], None]:
    """Compute on the CPU: 8 ms a window, 1 % of what tiny.en's encoder takes for it; 60 % of that is the transform."""

    def into(windows: Sequence[Block], batch: Features) -> None:
        for window, row in zip(windows, batch, strict=True):
            found = extractor(window)[:, :-1][:, :FRAMES]
            row[:, : found.shape[1]] = found

    return into


def torch_features(extractor: FeatureExtractor, device: str) -> Callable[[Sequence[Block], Features], None]:
    """Compute with torch on a device of its naming; equal to numpy's within 1e-4 (test_log_mel.py)."""
    import torch

    n_fft, hop = extractor.n_fft, extractor.hop_length
    filters = torch.from_numpy(extractor.mel_filters).to(device)
    # As numpy makes it: torch's own window differs in the last bit.
    hann = torch.from_numpy(np.hanning(n_fft + 1)[:-1].astype(np.float32)).to(device)

    def one(window: Block) -> Any:
        padded = np.pad(np.pad(window, (0, FILL)), n_fft // 2, mode="reflect")
        waves = torch.stft(
            torch.from_numpy(padded).to(device), n_fft, hop, window=hann, center=False, return_complex=True
        )
        mels = filters @ waves[:, :-1].abs().square()
        logs = mels.clamp(min=1e-10).log10()
        return (torch.maximum(logs, logs.max() - 8.0) + 4.0) / 4.0

    def into(windows: Sequence[Block], batch: Features) -> None:
        with torch.inference_mode():
            made = torch.zeros(batch.shape, device=device)
            for window, row in zip(windows, made, strict=True):
                found = one(window)[:, :-1][:, :FRAMES]
                row[:, : found.shape[1]] = found
            batch[:] = made.cpu().numpy()

    return into
