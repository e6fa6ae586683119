"""Diaries in voices and words of their own, on which no limit was chosen: calibration reports on them apart.

    python -m diary_pipeline_tests.recordings.speak_held_out --styles package/voices

Author-only, like speak.py, where the environment is described; held_out/ holds the result. The last one really ends
with the two words that Whisper writes down over nothing.
"""

import argparse
import json
import zlib
from pathlib import Path

import numpy as np

from diary_pipeline_tests.recordings import encode
from diary_pipeline_tests.recordings.planted import HELD_OUT
from diary_pipeline_tests.recordings.script import Entry
from diary_pipeline_tests.recordings.speak import RATE, recite
from diary_pipeline_tests.recordings.voices import voice

ENTRIES = (
    Entry(
        "bakery.ogg",
        "af_bella",
        (
            "I stood in front of the bakery at six, and the street still smelled of rain.",
            "The new oven is louder than the old one, but the bread has a better crust.",
            "Peter dropped a tray of rolls and we both pretended not to see it.",
            "My shoulders ache and I would not trade this job for any office.",
            "Tomorrow I have to order flour and ask about the broken scale.",
        ),
        None,
    ),
    Entry(
        "lake.ogg",
        "am_fenrir",
        (
            "We drove out to the lake because nobody wanted to sit at home again.",
            "The water was so cold that my brother screamed and ran straight back to the car.",
            "I stayed in for ten minutes and felt proud like a small child.",
            "On the way home we talked about our mother and how quiet she has become.",
            "I promised to visit her on Saturday and to bring the old photographs.",
        ),
        None,
    ),
    Entry(
        "thanks.ogg",
        "bm_george",
        (
            "The doctor called today and said that the results are fine.",
            "I sat on the stairs for a while and listened to the house.",
            "Then I made tea, opened the window and wrote to my daughter.",
            "Whoever is listening to this one day, be patient with yourself.",
            "Thank you.",
        ),
        None,
    ),
)


def main() -> None:
    """Speak all of them."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--styles", type=Path, required=True, help="the voices folder of kokoro-js")
    styles = arguments.parse_args().styles
    HELD_OUT.mkdir(exist_ok=True)
    for entry in ENTRIES:
        seed = zlib.crc32(entry.file_name.encode()) % 2**31
        samples = recite(entry, voice(entry.voice, styles, seed), np.random.default_rng(seed))
        encode.write(HELD_OUT / entry.file_name, samples, RATE)
    said = {entry.file_name: entry.text for entry in ENTRIES}
    (HELD_OUT / "said.json").write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
