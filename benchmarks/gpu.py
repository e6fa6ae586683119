"""Audio hours an hour on a GPU, how busy it is, and how many of them 10,000 audio hours an hour would take.

Part of the transcription benchmark; where no GPU answers it says so and measures nothing. Two models: real base
weights, whose words are counted, and one of large-v3-turbo's shape with random weights, which says a fixed number of
tokens a window and is good for its speed alone. The whole engine runs, decoding and voice activity included.

What surprises: several runs that share a GPU, each with its own weights, hear less than one does, though one leaves
it idle. A row says how many there were, so that this can be seen again.
"""

import math
import multiprocessing
import os
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import Any

from benchmarks.turbo_shaped import TOKENS, TURBO, limited, write_random_model
from diary_pipeline.audio.decode import RATE, decode
from diary_pipeline.settings import load_settings
from diary_pipeline.transcription.devices.cuda import ask_cuda
from diary_pipeline.transcription.devices.device import Device
from diary_pipeline.transcription.evaluation.reference_set import read_reference_set
from diary_pipeline.transcription.evaluation.word_errors import Errors, count_errors
from diary_pipeline.transcription.transcriber import Heard, Hints, ToHear
from diary_pipeline.transcription.weights.models import resolve
from diary_pipeline.transcription.whisper.faster_whisper import FasterWhisperTranscriber, Tuning

WANTED = 10_000
QUERY = "nvidia-smi --query-gpu=utilization.gpu,memory.used --format=csv,noheader,nounits -i 0 -lms 200"
SHAPED = "large-v3-turbo's shape"


@dataclass(frozen=True)
class Load:
    """What one row measures: so many processes, each hearing a set so many times over."""

    model: str
    batch_size: int
    processes: int
    copies: int
    """Enough that filling and emptying the pipeline does not count."""


CLIPS = (Load("base", 32, 1, 16), Load(SHAPED, 64, 1, 12), *(Load(SHAPED, 32, n, 12) for n in (1, 2, 4)))
LONG = (Load("base", 32, 1, 48), Load(SHAPED, 64, 1, 40), *(Load(SHAPED, 32, n, 40) for n in (1, 2, 4)))
STAGES = ("mel_s", "encode_s", "generate_s", "align_s")
"""What the thread of the model does in turn; the rest of its time it waits, or puts words in their places."""


def measured(clips: Path, long: Path, loads: Sequence[Sequence[Load]] = (CLIPS, LONG)) -> dict[str, Any]:
    """Measure on the GPU, or say why not."""
    cuda = ask_cuda()
    if not cuda.types:
        return {"not_measured": f"no GPU: {cuda.missing}"}
    base = resolve("base", load_settings().model_dir)
    rows = []
    with tempfile.TemporaryDirectory(prefix="diary-bench-") as folder:
        folders = {"base": base, SHAPED: write_random_model(Path(folder) / "turbo", TURBO, base / "tokenizer.json")}
        for audio, name, some in ((clips, "short clips", loads[0]), (long, "long recordings", loads[1])):
            for load in some:
                rows.append({"model": load.model, "set": name, **together(load, folders[load.model], audio)})
                print(rows[-1], flush=True)
    return {"rows": rows, "tokens_a_window": TOKENS, "cpu_cores": os.cpu_count()}


def together(load: Load, folder: Path, audio: Path) -> dict[str, Any]:
    """Let processes share the GPU and add up what they heard between the first start and the last end."""
    context = multiprocessing.get_context("spawn")
    started = context.Barrier(load.processes)
    told: Any = context.Queue()
    workers = [
        context.Process(target=_worker, args=(load, folder, audio, started, told)) for _ in range(load.processes)
    ]
    for worker in workers:
        worker.start()
    with _watched() as seen:
        parts = [told.get(timeout=600) for _ in workers]
    for worker in workers:
        worker.join()
    audio_s, cpu_s = sum(p["audio_s"] for p in parts), sum(p["cpu_s"] for p in parts)
    began, ended = min(p["began"] for p in parts), max(p["ended"] for p in parts)
    busy = [u for at, u, _ in seen if began <= at <= ended]
    figures = {name: sum(p["figures"].get(name, 0.0) for p in parts) for name in parts[0]["figures"]}
    errors = sum((p["errors"] for p in parts), Errors())
    return {
        "batch_size": load.batch_size,
        "processes": load.processes,
        "compute_type": parts[0]["compute_type"],
        "audio_hours": audio_s / 3600,
        "hours_an_hour": audio_s / (ended - began),
        "windows_a_second": figures["windows"] / (ended - began),
        "cpu_s_an_audio_hour": 3600 * cpu_s / audio_s,
        "fill": figures["windows"] / figures["room"],
        "shares": [figures.get(stage, 0.0) / load.processes / (ended - began) for stage in STAGES],
        "wer": None if load.model == SHAPED else errors.wer,
        "utilisation": statistics.fmean(busy) / 100 if busy else None,
        "peak_gpu_mib": max((m for _, _, m in seen), default=None),
        "figures": figures,
    }


def _worker(load: Load, folder: Path, audio: Path, started: Barrier, told: Any) -> None:
    if load.model == SHAPED:
        transcriber = shaped(folder, "cuda", load.batch_size)
    else:
        transcriber = FasterWhisperTranscriber(folder, load.model, Tuning("cuda", batch_size=load.batch_size))
    told.put(throughput(transcriber, audio, load.copies, started.wait))


def shaped(folder: Path, device: str, batch_size: int, tokens: int = TOKENS) -> FasterWhisperTranscriber:
    """Give the product's engine over a random model that says so many tokens a window.

    Repair is off: every window would be hopeless, and be heard again and again.
    """
    return FasterWhisperTranscriber(
        folder, "random", Tuning(device, batch_size=batch_size, ladder=()), load=partial(_load, tokens=tokens)
    )


def throughput(
    transcriber: FasterWhisperTranscriber, audio: Path, copies: int, ready: Any = lambda: None
) -> dict[str, Any]:
    """Hear a set so many times in one call; its first recording is heard before `ready` and the clock."""
    references, _ = read_reference_set(audio)
    said = {f"{n} {r.name}": r for n in range(copies) for r in references}
    [*_] = transcriber.transcribe([ToHear("warm", partial(decode, references[0].audio), Hints(language="en"))])
    before = dict(transcriber.figures())
    asked = (ToHear(key, partial(decode, r.audio), Hints(language="en")) for key, r in said.items())
    errors, audio_s = Errors(), 0.0
    ready()
    began, cpu_s = time.monotonic(), time.process_time()
    heard = list(transcriber.transcribe(asked))
    ended, cpu_s = time.monotonic(), time.process_time() - cpu_s
    for key, found in heard:
        if not isinstance(found, Heard):
            raise found
        audio_s += found.samples / RATE
        errors += count_errors(said[key].text, " ".join(s.text for s in found.segments if s.text))
    return {
        "compute_type": transcriber.device.compute_type,
        "audio_s": audio_s,
        "began": began,
        "ended": ended,
        "cpu_s": cpu_s,
        "errors": errors,
        "figures": {key: n - before.get(key, 0.0) for key, n in transcriber.figures().items() if key != "fill"},
    }


def told(found: Mapping[str, Any]) -> str:
    """Render the outcome as Markdown."""
    if "not_measured" in found:
        return f"Not measured: {found['not_measured']}."
    lines = [
        "| model, windows a call, processes | set | audio hours an hour | windows a second | GPU busy | GPU MiB | fill "
        "| features, encode, generate, align: share of the time "
        f"| CPU s an audio hour | WER | GPUs for {WANTED:,} hours an hour |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['model']}, {row['batch_size']}, {row['processes']} | {row['set']} | {row['hours_an_hour']:.0f} "
        f"| {row['windows_a_second']:.0f} | {_or_unknown(row['utilisation'], '.0%')} "
        f"| {_or_unknown(row['peak_gpu_mib'], '.0f')} | {row['fill']:.2f} "
        f"| {', '.join(format(share, '.0%') for share in row['shares'])} | {row['cpu_s_an_audio_hour']:.0f} "
        f"| {_or_unknown(row['wer'], '.2%')} | {math.ceil(WANTED / row['hours_an_hour'])} |"
        for row in found["rows"]
    ]
    weights = f"Weights of large-v3-turbo's shape are random: {found['tokens_a_window']} tokens a window, no words."
    return "\n".join([*lines, "", weights])


@contextmanager
def _watched() -> Iterator[list[tuple[float, float, float]]]:
    # When, how busy the GPU was, in percent, and its memory, in MiB; the list is full when the body has ended.
    samples: list[tuple[float, float, float]] = []
    try:
        smi = subprocess.Popen(QUERY.split(), stdout=subprocess.PIPE, text=True)
    except FileNotFoundError:
        yield samples
        return
    reader = threading.Thread(target=_read, args=(smi, samples))
    reader.start()
    try:
        yield samples
    finally:
        smi.terminate()
        reader.join()


def _read(smi: "subprocess.Popen[str]", samples: list[tuple[float, float, float]]) -> None:
    for line in smi.stdout or ():
        cells = line.split(",")
        if len(cells) == 2 and all(cell.strip().isdigit() for cell in cells):
            samples.append((time.monotonic(), float(cells[0]), float(cells[1])))


def _load(folder: Path, device: Device, threads: int, *, tokens: int) -> Any:
    from faster_whisper import WhisperModel

    model = WhisperModel(
        str(folder), device=device.name, compute_type=device.compute_type, cpu_threads=threads, local_files_only=True
    )
    return limited(model, tokens)


def _or_unknown(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
