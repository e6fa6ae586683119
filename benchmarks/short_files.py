"""The platform's whole time over a bare faster-whisper loop, on the same 64 short files and with the same weights.

The loop is what a user would write: one process, the model loaded once, one `transcribe` a file with faster-whisper's
own defaults, text printed and nothing kept. The platform takes the files in, runs everything through Dagster, writes
notes, checks and the catalogue, and publishes. Both are timed as whole processes, in turn.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from diary_pipeline.audio.decode import RATE, decode
from diary_pipeline.settings import load_settings
from diary_pipeline.transcription.weights.models import resolve
from diary_pipeline_tests.builders import write_audio

FILES = 64
ROUNDS = 3
MODEL = "tiny.en"
DEMO = Path(__file__).parents[1] / "diary_pipeline_tests" / "recordings" / "demo"

BARE = """
import sys
from pathlib import Path
from faster_whisper import WhisperModel
model = WhisperModel(sys.argv[1], device="cpu", compute_type="int8")
for path in sorted(Path(sys.argv[2]).iterdir()):
    segments, _ = model.transcribe(str(path), vad_filter=True)
    print(path.name, " ".join(s.text for s in segments))
"""


@dataclass(frozen=True)
class Cost:
    """What one whole process took, its children included."""

    wall_s: float
    cpu_s: float


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="diary-bench-") as folder:
        root = Path(folder)
        audio_s = _cut(root / "files")
        model = str(resolve(MODEL, load_settings().model_dir))
        bare, platform = [], []
        for round_ in range(ROUNDS):
            bare.append(_timed([sys.executable, "-c", BARE, model, str(root / "files")], {}))
            command = [sys.executable, "-m", "diary_pipeline.cli.main", "ingest", str(root / "files"), "--wait"]
            platform.append(_timed(command, {"DIARY_HOME": str(root / f"home{round_}"), "DIARY_WHISPER_MODEL": MODEL}))
    print(
        f"{FILES} files, {audio_s:.0f} s of speech, {MODEL}, {ROUNDS} rounds in turn, {os.cpu_count()} cores; medians\n"
    )
    print("| | wall s | CPU s | CPU s a recording |\n|---|---|---|---|")
    for name, costs in (("bare loop", bare), ("diary ingest --wait", platform)):
        cpu_s = statistics.median(c.cpu_s for c in costs)
        print(f"| {name} | {statistics.median(c.wall_s for c in costs):.1f} | {cpu_s:.1f} | {cpu_s / FILES:.2f} |")
    wall = [p.wall_s / b.wall_s for p, b in zip(platform, bare, strict=True)]
    cpu = [p.cpu_s / b.cpu_s for p, b in zip(platform, bare, strict=True)]
    print(f"| **ratio**, round by round | {_ratios(wall)} | {_ratios(cpu)} | |")


def _cut(folder: Path) -> float:
    """Cut the demo recordings into FILES pieces of equal length; return the seconds of one set."""
    folder.mkdir()
    sound = np.concatenate([b for p in sorted(DEMO.iterdir()) if p.suffix != ".json" for b in decode(p)])
    for n, piece in enumerate(np.array_split(sound, FILES)):
        write_audio(folder / f"2026-03-{n % 28 + 1:02d} piece {n:02d}.wav", piece)
    return len(sound) / RATE


def _timed(command: list[str], environment: dict[str, str]) -> Cost:
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:5])} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(time.perf_counter() - began, cpu_s)


def _ratios(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"
