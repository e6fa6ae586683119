"""`python -m benchmarks.contenders NAME MODEL SET`: one way to transcribe a reference set, in a process of its own.

So peak memory is its own, too. Prints one JSON document: time, memory, text by file. The model is loaded and has heard
the first recording before the clock starts.
"""

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from diary_pipeline.audio.decode import RATE, decode
from diary_pipeline.settings import load_settings
from diary_pipeline.transcription.devices.device import MOST, choose
from diary_pipeline.transcription.evaluation.reference_set import Reference, read_reference_set
from diary_pipeline.transcription.transcriber import Heard, Hints, ToHear, Transcriber
from diary_pipeline.transcription.weights.models import resolve
from diary_pipeline.wiring.deployment import Wiring

Run = Callable[[Sequence[Reference]], Iterator[tuple[str, str]]]
Figures = Callable[[], Mapping[str, float]]


def sequential(model: str) -> tuple[Run, Figures]:
    """What the README of faster-whisper shows: one `transcribe` a file, voice activity on, its own defaults."""
    whisper = _whisper(model)

    def run(references: Sequence[Reference]) -> Iterator[tuple[str, str]]:
        for reference in references:
            segments, _ = whisper.transcribe(str(reference.audio), vad_filter=True)
            yield reference.name, " ".join(segment.text for segment in segments)

    return run, dict


def batched(model: str, *, words: bool) -> tuple[Run, Figures]:
    """What is faster in faster-whisper: its batched pipeline, file by file."""
    from faster_whisper import BatchedInferencePipeline

    size = load_settings().window_batch_size or MOST["cpu"]
    pipeline = BatchedInferencePipeline(_whisper(model))

    def run(references: Sequence[Reference]) -> Iterator[tuple[str, str]]:
        for reference in references:
            segments, _ = pipeline.transcribe(str(reference.audio), batch_size=size, word_timestamps=words)
            yield reference.name, " ".join(segment.text for segment in segments)

    return run, dict


def ours(model: str) -> tuple[Run, Figures]:
    """The product's transcriber, as its settings make it, over all files in one call."""
    return _engine(Wiring(load_settings()).transcriber(model))


def unrepaired(model: str) -> tuple[Run, Figures]:
    """The same without its repair ladder: what a window says at once is believed, or refused."""
    settings = load_settings().model_copy(update={"repair_ladder": ()})
    return _engine(Wiring(settings).transcriber(model))


def _engine(transcriber: Transcriber) -> tuple[Run, Figures]:
    def run(references: Sequence[Reference]) -> Iterator[tuple[str, str]]:
        asked = (ToHear(r.name, partial(decode, r.audio), Hints()) for r in references)
        for name, heard in transcriber.transcribe(asked):
            if not isinstance(heard, Heard):
                raise heard
            yield name, " ".join(s.text for s in heard.segments if s.kind == "speech" and s.text)

    return run, getattr(transcriber, "figures", dict)


CONTENDERS: Mapping[str, Callable[[str], tuple[Run, Figures]]] = {
    "sequential": sequential,
    "batched": partial(batched, words=False),
    "batched, words": partial(batched, words=True),
    "ours": ours,
    "ours, no repair": unrepaired,
}


def measure(name: str, model: str, file: Path) -> dict[str, Any]:
    """Run one contender over a set and give what it took and wrote."""
    references, failed = read_reference_set(file)
    assert not failed
    audio_s = sum(len(block) for r in references for block in decode(r.audio)) / RATE
    run, figures = CONTENDERS[name](model)
    list(run(references[:1]))
    before = dict(figures())
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    written = dict(run(references))
    wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
    done = {key: value - before.get(key, 0.0) for key, value in figures().items() if key != "fill"}
    if done.get("room"):
        done["fill"] = done["windows"] / done["room"]
    return {
        "audio_s": audio_s,
        "wall_s": wall_s,
        "cpu_s": cpu_s,
        "peak_mib": _peak_mib(),
        "figures": done,
        "written": {reference.name: written[reference.name] for reference in references},
    }


def _whisper(model: str) -> Any:
    from faster_whisper import WhisperModel

    settings = load_settings()
    folder = resolve(model, settings.model_dir)
    device = choose(settings.device, settings.compute_type, model=folder)  # as ours runs, or ratios mean nothing
    return WhisperModel(
        str(folder), device=device.name, compute_type=device.compute_type, cpu_threads=settings.cpu_threads
    )


def _peak_mib() -> float:
    # ru_maxrss begins with what the parent had when it forked; the kernel's own mark does not.
    status = Path("/proc/self/status")
    if status.exists():
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024**2 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], sys.argv[2], Path(sys.argv[3]))))
