"""Words right and audio a CPU second: the product's transcriber beside faster-whisper as a user would call it.

`python -m benchmarks.transcription [--quick] [--models base ...] [--rounds 3] [--json FILE]`. Real weights, one thread
by default. Every measurement is a process of its own; contenders take turns within a round, and what is said about
them is the median of rounds and of ratios within a round, so that a machine that slows down slows all of them.

What surprises: short clips and long recordings are told apart, because what one call over many files saves is saved on
short ones.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import gpu
from benchmarks.contenders import CONTENDERS
from benchmarks.material import long_recordings, short_clips
from diary_pipeline.transcription.devices.device import MOST
from diary_pipeline.transcription.evaluation.reference_set import read_reference_set
from diary_pipeline.transcription.evaluation.word_errors import Errors, count_errors, normaliser

OURS, SEQUENTIAL, BATCHED = "ours", "sequential", "batched, words"
WINDOWS = MOST["cpu"]
"""That one model call takes, of ours and of the batched pipeline."""
PACKAGES = ("faster-whisper", "ctranslate2", "onnxruntime", "av", "whisper-normalizer", "jiwer")
Measured = Mapping[str, Any]
Rounds = Mapping[str, Sequence[Measured]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print tables, and write every figure to a file if one is named."""
    asked = _asked(arguments)
    document: dict[str, Any] = {"machine": _machine(), "rounds": asked.rounds, "threads": asked.threads, "sets": []}
    print(f"{document['machine']}\n{asked.rounds} rounds in turn, {asked.threads} thread(s); medians", flush=True)
    with tempfile.TemporaryDirectory(prefix="diary-bench-") as folder:
        clips = short_clips(Path(folder) / "short", asked.clips)
        sets = {f"{asked.clips} short clips": clips}
        if asked.long:
            sets[f"{asked.long} long recordings"] = long_recordings(Path(folder) / "long", asked.long)
        for model in asked.models:
            for name, file in sets.items():
                rounds = _rounds(model, file, asked.rounds, asked.threads)
                found = {"model": model, "set": name, "contenders": _summaries(rounds, file)}
                document["sets"].append(found)
                _keep(document, asked.json)  # hours of measuring are not lost with the machine
                print(f"\n### {model}, {name}, {rounds[OURS][0]['audio_s']:.0f} s\n\n{_table(found)}", flush=True)
                print(f"\n{_stages(rounds[OURS])}", flush=True)
        long = sets.get(f"{asked.long} long recordings") or long_recordings(Path(folder) / "long", 2)
        document["gpu"] = gpu.measured(clips, long)
    print(f"\n### GPU\n\n{gpu.told(document['gpu'])}")
    _keep(document, asked.json)


def _keep(document: Mapping[str, Any], file: Path | None) -> None:
    if file:
        file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.transcription", description=main.__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of few clips with tiny.en, for CI")
    parser.add_argument("--models", nargs="+", metavar="MODEL", help="default: tiny.en base")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--clips", type=int)
    parser.add_argument("--long", type=int, help="how many long recordings")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE")
    asked = parser.parse_args(arguments)
    small = {"models": ["tiny.en"], "rounds": 1, "clips": 12, "long": 0}
    large = {"models": ["tiny.en", "base"], "rounds": 3, "clips": 48, "long": 2}
    for name, value in (small if asked.quick else large).items():
        if getattr(asked, name) is None:
            setattr(asked, name, value)
    return asked


def _rounds(model: str, file: Path, rounds: int, threads: int) -> Rounds:
    environment = {**os.environ, "DIARY_CPU_THREADS": str(threads), "HF_HUB_OFFLINE": "1"}
    environment["DIARY_WINDOW_BATCH_SIZE"] = str(WINDOWS)
    found: dict[str, list[Measured]] = {name: [] for name in CONTENDERS}
    for _ in range(rounds):
        for name, measured in found.items():
            command = [sys.executable, "-m", "benchmarks.contenders", name, model, str(file)]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(f"{name} with {model} ended with {done.returncode}:\n{done.stderr[-2000:]}")
            measured.append(json.loads(done.stdout.splitlines()[-1]))
    return found


def _summaries(rounds: Rounds, file: Path) -> list[dict[str, Any]]:
    said = {r.name: r.text for r in read_reference_set(file)[0]}
    fold = normaliser("en")
    per_file = rounds[BATCHED][0]["written"]
    summaries = []
    for name, measured in rounds.items():
        written = measured[0]["written"]
        errors = sum((count_errors(text, written[file_name]) for file_name, text in said.items()), Errors())
        summaries.append(
            {
                "contender": name,
                "wer": errors.wer,
                "word_errors": errors.word_errors,
                "words": errors.words,
                "same_text_as_batched": sum(fold(written[n]) == fold(per_file[n]) for n in said),
                "files": len(said),
                "audio_s_per_cpu_s": statistics.median(m["audio_s"] / m["cpu_s"] for m in measured),
                "wall_s": statistics.median(m["wall_s"] for m in measured),
                "cpu_s": [m["cpu_s"] for m in measured],
                "to_sequential": _ratios(rounds[SEQUENTIAL], measured),
                "to_batched": _ratios(rounds[BATCHED], measured),
                "peak_mib": max(m["peak_mib"] for m in measured),
                "figures": measured[0]["figures"],
            }
        )
    return summaries


def _ratios(other: Sequence[Measured], ours: Sequence[Measured]) -> list[float]:
    return [a["cpu_s"] / b["cpu_s"] for a, b in zip(other, ours, strict=True)]


def _table(found: Mapping[str, Any]) -> str:
    columns = ("", "WER", "audio s a CPU s", "wall s", "to sequential", "to batched, words", "fill", "peak MiB")
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    for row in found["contenders"]:
        fill = row["figures"].get("fill")
        cells = (
            f"**{row['contender']}**" if row["contender"] == OURS else row["contender"],
            f"{100 * row['wer']:.2f} % ({row['word_errors']} of {row['words']})",
            f"{row['audio_s_per_cpu_s']:.1f}",
            f"{row['wall_s']:.1f}",
            _spread(row["to_sequential"]),
            _spread(row["to_batched"]),
            "" if fill is None else f"{fill:.2f}",
            f"{row['peak_mib']:.0f}",
        )
        lines.append("| " + " | ".join(cells) + " |")
    [ours] = [row for row in found["contenders"] if row["contender"] == OURS]
    same = f"{ours['same_text_as_batched']} of {ours['files']}"
    return "\n".join([*lines, "", f"Ours wrote the same words as the batched pipeline file by file in {same} files."])


def _stages(measured: Sequence[Measured]) -> str:
    # Seconds of one thread beside the clock: with one thread for all, shares add up to about the whole.
    stages = {
        name: statistics.median(m["figures"].get(name, 0.0) / m["wall_s"] for m in measured)
        for name in sorted({key for m in measured for key in m["figures"] if key.endswith("_s")})
    }
    if not stages:
        return "Stages: not measured, the engine keeps no figures."
    audio_s = measured[0]["audio_s"]
    hour = {name: statistics.median(3600 * m["figures"].get(name, 0.0) / audio_s for m in measured) for name in stages}
    parts = (f"{name.removesuffix('_s')} {100 * share:.0f} % ({hour[name]:.0f})" for name, share in stages.items())
    return f"Stages of ours, share of the wall time (seconds an audio hour): {', '.join(parts)}."


def _spread(values: Iterable[float]) -> str:
    kept = list(values)
    middle = statistics.median(kept)
    return f"{middle:.2f}" if len(kept) == 1 else f"{middle:.2f} ({min(kept):.2f}-{max(kept):.2f})"


def _machine() -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return f"{os.cpu_count()} {platform.machine()} cores, Python {platform.python_version()}, {versions}"


if __name__ == "__main__":
    main()
