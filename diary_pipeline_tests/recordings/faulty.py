"""Recordings that must not become notes: one corrupt, one truncated, one silent, one duplicate.

Made on the spot from demo/, always the same bytes, for the demo, the tests and whoever wants to see *Quarantine* full.
Expected codes are the words users see; how they are found is the business of `diary_pipeline/audio/` and of intake.
"""

import shutil
from pathlib import Path

import numpy as np

from diary_pipeline_tests.recordings import encode

DEMO = Path(__file__).parent / "demo"
WHOLE_WAV = DEMO / "2026-03-02 first day back.wav"
WHOLE_MP3 = DEMO / "20260303_201500.mp3"
ROOM_RATE = 16_000


def add_faulty(folder: Path) -> dict[str, str]:
    """Write the four files beside a copy of the demo and return the code expected for each file name.

    The duplicate is one only where its original lies in the folder too; its name sorts after the original's.
    """
    return {
        corrupt(folder).name: "audio_unreadable",
        truncated(folder).name: "audio_truncated",
        silent(folder).name: "audio_no_speech",
        duplicate(folder).name: "duplicate",
    }


def corrupt(folder: Path) -> Path:
    """Write random bytes that only their name calls an mp3."""
    path = folder / "2026-03-09 pocket.mp3"
    path.write_bytes(np.random.default_rng(9).bytes(40_000))
    return path


def truncated(folder: Path) -> Path:
    """Write the first 55 % of a wav whose header promises all of it, as a copy that broke off."""
    path = folder / "2026-03-11 cut short.wav"
    whole = WHOLE_WAV.read_bytes()
    path.write_bytes(whole[: len(whole) * 55 // 100])
    return path


def silent(folder: Path) -> Path:
    """Write 20 s of a room in which nobody speaks, at about -66 dBFS."""
    path = folder / "memo_2026-03-13_23-10.flac"
    white = np.random.default_rng(13).normal(0, 1, 20 * ROOM_RATE)
    # Rooms hum low rather than hiss: each sample is averaged with the 15 before it.
    room = np.convolve(white, np.full(16, 1 / 16), mode="same")
    encode.write(path, room / room.std() * 0.0005, ROOM_RATE)
    return path


def duplicate(folder: Path) -> Path:
    """Write the same bytes as one of the demo recordings under another name."""
    return Path(shutil.copyfile(WHOLE_MP3, folder / "20260303_201500_copy.mp3"))
