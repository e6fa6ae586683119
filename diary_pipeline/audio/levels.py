"""How loud a recording is, measured while its blocks pass by. Whether a level is good or bad is not decided here.

Silence is -120 dBFS, not minus infinity: every figure must survive JSON and SQL.
"""

import math

import numpy as np
import numpy.typing as npt

QUIETEST_DBFS = -120.0
# One step below full scale of 16 bits: what clipped in a microphone's converter arrives as exactly that.
CLIPPED_AT = 32766 / 32768


class LevelMeter:
    """Push every block once; read the figures whenever you like."""

    def __init__(self) -> None:
        self._samples = 0
        self._peak = 0.0
        self._energy = 0.0
        self._clipped = 0

    def push(self, block: npt.NDArray[np.float32]) -> None:
        """Take in one block of mono samples between -1 and 1."""
        if block.size:
            loud = np.abs(block)
            self._samples += block.size
            self._peak = max(self._peak, float(loud.max()))
            self._energy += float(np.dot(block.astype(np.float64), block))
            self._clipped += int(np.count_nonzero(loud >= CLIPPED_AT))

    @property
    def peak_dbfs(self) -> float:
        """The loudest sample."""
        return _dbfs(self._peak)

    @property
    def rms_dbfs(self) -> float:
        """The whole recording's mean power; a full-scale sine is -3.01."""
        return _dbfs(math.sqrt(self._energy / self._samples) if self._samples else 0.0)

    @property
    def clipped_share(self) -> float:
        """Share of samples at full scale, 0 to 1."""
        return self._clipped / self._samples if self._samples else 0.0


def _dbfs(amplitude: float) -> float:
    return max(QUIETEST_DBFS, 20 * math.log10(amplitude)) if amplitude > 0 else QUIETEST_DBFS
