"""How probable speech is, frame by frame: Silero, run over a recording of any length.

Owns the onnxruntime session that faster-whisper bundles. What counts as speech is spans.py's business.

What surprises: the network's state and the last 64 samples are carried from block to block, so the probabilities are
those of the whole recording in one call, while only one block is held.
"""

import numpy as np
import numpy.typing as npt
from faster_whisper.vad import get_vad_model

from diary_pipeline.transcription.speech.spans import FRAME
from diary_pipeline.transcription.transcriber import Block

CONTEXT = 64
STATE = (1, 1, 128)


class Silero:
    """Speech probabilities of one recording; make a new one for the next."""

    def __init__(self) -> None:
        self._session = get_vad_model().session
        self._h = self._c = np.zeros(STATE, np.float32)
        self._tail = np.zeros(CONTEXT, np.float32)
        self._rest = np.zeros(0, np.float32)

    def push(self, block: Block) -> list[float]:
        """Return the probability of each frame that is complete now."""
        waiting = np.concatenate([self._rest, block])
        whole = len(waiting) // FRAME * FRAME
        self._rest = waiting[whole:].copy()
        return self._run(waiting[:whole]) if whole else []

    def close(self) -> list[float]:
        """Return the probability of the last frame, filled up with silence."""
        return self._run(np.pad(self._rest, (0, FRAME - len(self._rest) % FRAME)))

    def _run(self, samples: npt.NDArray[np.float32]) -> list[float]:
        rows = samples.reshape(-1, FRAME)
        before = np.vstack([self._tail, rows[:-1, -CONTEXT:]])
        self._tail = rows[-1, -CONTEXT:].copy()
        fed = {"input": np.concatenate([before, rows], 1), "h": self._h, "c": self._c}
        found, self._h, self._c = self._session.run(None, fed)
        return [float(p) for p in np.ravel(found)]
