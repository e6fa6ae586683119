"""`python -m diary_pipeline_tests.recordings.lay_out FOLDER`: what `make demo` drops: ten diaries, four faulty files.

A file that lies there already is left alone, so that its time does not change and it is not taken for a new one.
"""

import datetime as dt
import os
import shutil
import sys
import tempfile
from pathlib import Path

from diary_pipeline_tests.recordings.faulty import add_faulty

DEMO = Path(__file__).parent / "demo"
RECORDER_WROTE = dt.datetime(2026, 3, 14, 18, 5, tzinfo=dt.UTC).timestamp()
"""A checkout gives files the time of the checkout; a recorder gives them the time of recording."""


def lay_out(folder: Path) -> None:
    """Fill `folder` with whatever of the demo is missing there."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made:
        add_faulty(Path(made))
        for source in (*DEMO.iterdir(), *Path(made).iterdir()):
            if source.suffix != ".json" and not (folder / source.name).exists():
                shutil.copy(source, folder)
                os.utime(folder / source.name, (RECORDER_WROTE, RECORDER_WROTE))


if __name__ == "__main__":
    lay_out(Path(sys.argv[1]))
