"""Whether a decoded recording is the whole recording.

Pure: what the container promised and what came out, a refusal or nothing. Quiet, noisy and clipped recordings
are sound; what they are worth is for the checks to say.

Known limits: containers that promise nothing exact (aac, amr, mp3 without a Xing or Info header, webm straight from a
browser, an ogg file cut between two pages) can lose their end unseen.
"""

from dataclasses import dataclass

from diary_pipeline.audio.decode import RATE, Decoder
from diary_pipeline.audio.levels import LevelMeter
from diary_pipeline.audio.limits import DEFAULT_LIMITS, AudioLimits
from diary_pipeline.audio.probe import too_long, too_short
from diary_pipeline.core.errors import AudioRefused

# What sound files may fall short by: encoder delay and padding (HE-AAC at 22 kHz: 0.24 s, mp3 at 8 kHz: 0.21 s), a
# promise rounded up to whole frames, the resampler's tail. Seen on our samples: 0.10 s at most.
SHORT_BY_S = 0.5
# The longest packet of a speech codec in use (opus, aac at 16 kHz): each damaged one may take that much with it.
PACKET_S = 0.13
# Six lost packets a minute are 0.1 to 0.8 s of it: a syllable here and there. More is not a diary any more.
DAMAGED_A_MINUTE = 6
DAMAGED_ALWAYS_FORGIVEN = 3


@dataclass(frozen=True)
class Measured:
    """What one whole decode found."""

    duration_s: float
    samples: int
    damaged_packets: int
    peak_dbfs: float
    rms_dbfs: float
    clipped_share: float


def measured(decoder: Decoder, meter: LevelMeter) -> Measured:
    """Gather the figures after the last block."""
    return Measured(
        duration_s=decoder.samples / RATE,
        samples=decoder.samples,
        damaged_packets=decoder.damaged_packets,
        peak_dbfs=meter.peak_dbfs,
        rms_dbfs=meter.rms_dbfs,
        clipped_share=meter.clipped_share,
    )


def judge(
    declared_s: float | None,
    measured: Measured,
    *,
    file_name: str = "The recording",
    limits: AudioLimits = DEFAULT_LIMITS,
) -> None:
    """Refuse a recording whose end is missing, that is damaged beyond use, or whose true length is out of bounds.

    `declared_s`: the length that the container promises; None: none.
    """
    missing_s = (declared_s or 0.0) - measured.duration_s
    # A damaged file's end may be missing for either reason; the missing end is what its owner can do something about.
    if missing_s > SHORT_BY_S + PACKET_S * measured.damaged_packets:
        raise AudioRefused(
            "audio_truncated",
            f"{file_name} promises {declared_s:.1f} s but holds {measured.duration_s:.1f} s; "
            "copy or upload the whole file again.",
        )
    if measured.damaged_packets > max(DAMAGED_ALWAYS_FORGIVEN, DAMAGED_A_MINUTE * measured.duration_s / 60):
        raise AudioRefused(
            "audio_unreadable",
            f"{file_name} is damaged in {measured.damaged_packets} places within {measured.duration_s:.0f} s; "
            "copy or upload it again.",
        )
    if measured.duration_s < limits.min_s:
        raise too_short(file_name, measured.duration_s, limits)
    if measured.duration_s > limits.max_s:
        raise too_long(file_name, measured.duration_s, limits)
