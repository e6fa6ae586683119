"""What every speak_*.py does: speak all of its recordings, or some, and keep said.json beside them up to date.

What is spoken, and by whom, stands in the speak_*.py files.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

Take = Callable[[Path, int], dict[str, object]]
"""Given the folder of voice styles and a seed, writes one recording and says what said.json tells of it."""


def record_all(doc: str | None, folder: Path, takes: Mapping[str, Take]) -> None:
    """Read the command line and record; a recording that is not asked for keeps what said.json told of it."""
    arguments = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--styles", type=Path, required=True, help="the voices folder of kokoro-js")
    arguments.add_argument("--only", nargs="*", default=[], metavar="NAME", help="file names; default: all")
    arguments.add_argument("--seed", type=int, default=7)
    given = arguments.parse_args()

    folder.mkdir(exist_ok=True)
    path = folder / "said.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    said = {}
    for name, take in takes.items():
        wanted = name in given.only or not given.only
        said[name] = take(given.styles, given.seed) if wanted else known[name]
        print(f"{name}: {said[name]['duration_s']} s, {(folder / name).stat().st_size} bytes", file=sys.stderr)
    path.write_text(json.dumps(said, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
