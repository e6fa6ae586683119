"""Speak script_languages.py: words to recordings and their ground truth, for whoever changes a diary.

    python -m diary_pipeline_tests.recordings.speak_languages --styles package/voices [--only NAME ...]

Author-only, as speak.py, whose docstring says what to install; all of its voices here are Kokoro's (Apache-2.0). Each
file gets its passages with the seconds at which they begin and end, so that a test can ask what was said where.
"""

import hashlib
import zlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from diary_pipeline_tests.recordings import encode
from diary_pipeline_tests.recordings.script_languages import DIARIES, LANGUAGES, Diary, Passage
from diary_pipeline_tests.recordings.speak import PAUSES_S, PEAK, RATE, ROOM_NOISE
from diary_pipeline_tests.recordings.studio import record_all
from diary_pipeline_tests.recordings.voices import voice


def recite(diary: Diary, styles: Path, seed: int) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Return one recording at RATE and where its passages lie."""
    rng = np.random.default_rng(seed)
    pieces = [np.zeros(int(RATE * 0.4), np.float32)]
    places: list[dict[str, Any]] = []
    for passage in diary.passages:
        start = sum(map(len, pieces))
        pieces += _spoken(passage, styles, seed, rng)
        places.append(
            {
                "language": passage.language,
                "text": passage.text,
                "start_s": round(start / RATE, 2),
                "end_s": round(sum(map(len, pieces)) / RATE, 2),
                "quieter_db": passage.quieter_db,
            }
        )
    # The room is as loud under the quiet passages as under the others.
    speech = np.concatenate(pieces)
    return speech + rng.normal(0, ROOM_NOISE, len(speech)), places


def _spoken(passage: Passage, styles: Path, seed: int, rng: np.random.Generator) -> list[np.ndarray]:
    speaker = voice(passage.voice, styles, seed, passage.language)
    said = [encode.resample(speaker.say(sentence), speaker.rate, RATE) for sentence in passage.sentences]
    level = PEAK / max(np.abs(one).max() for one in said) * 10 ** (-passage.quieter_db / 20)
    return [piece for one in said for piece in (one * level, np.zeros(int(RATE * rng.choice(PAUSES_S)), np.float32))]


def record(diary: Diary, styles: Path, seed: int) -> dict[str, Any]:
    """Write one diary to languages/ and return what said.json says about it."""
    samples, places = recite(diary, styles, (seed + zlib.crc32(diary.file_name.encode())) % 2**31)
    path = LANGUAGES / diary.file_name
    encode.write(path, samples, RATE)
    return {
        "passages": places,
        "duration_s": round(len(samples) / RATE, 2),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


if __name__ == "__main__":
    record_all(__doc__, LANGUAGES, {diary.file_name: partial(record, diary) for diary in DIARIES})
