"""Audio hours an hour on a GPU, how busy it is, and how many of them 10,000 audio hours an hour would take.

Part of the transcription benchmark; where no GPU answers it says so and measures nothing. Two models: real base
weights, whose words are counted, and one of large-v3-turbo's shape with random weights, which says a fixed number of
tokens a window and is good for its speed alone. The whole engine runs, decoding and voice activity included.

What surprises: a GPU that waits for the CPU looks slow. Utilisation and the CPU seconds stand beside the speed.
"""

import math
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
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

COPIES = 40
"""Of the clips: some hours of audio, so that filling and emptying the pipeline does not count."""
BATCH_SIZES = (16, 64)
WANTED = 10_000
QUERY = "nvidia-smi --query-gpu=utilization.gpu,memory.used --format=csv,noheader,nounits -i 0 -lms 200"


def measured(clips: Path) -> dict[str, Any]:
    """Measure on the GPU, or say why not."""
    cuda = ask_cuda()
    if not cuda.types:
        return {"not_measured": f"no GPU: {cuda.missing}"}
    model_dir = load_settings().model_dir
    base = resolve("base", model_dir)
    rows = []
    with tempfile.TemporaryDirectory(prefix="diary-bench-") as folder:
        turbo = write_random_model(Path(folder) / "turbo", TURBO, base / "tokenizer.json")
        for size in BATCH_SIZES:
            real = FasterWhisperTranscriber(base, "base", Tuning("cuda", batch_size=size))
            rows.append({"model": "base", **throughput(real, clips, COPIES)})
            rows.append({"model": "large-v3-turbo's shape", **throughput(shaped(turbo, "cuda", size), clips, COPIES)})
            rows[-1]["wer"] = None
    return {"rows": rows, "tokens_a_window": TOKENS, "cpu_cores": os.cpu_count()}


def shaped(folder: Path, device: str, batch_size: int, tokens: int = TOKENS) -> FasterWhisperTranscriber:
    """Give the product's engine over a random model that says so many tokens a window.

    Repair is off: every window would be hopeless, and be heard again and again.
    """
    return FasterWhisperTranscriber(
        folder, "random", Tuning(device, batch_size=batch_size, ladder=()), load=partial(_load, tokens=tokens)
    )


def throughput(transcriber: FasterWhisperTranscriber, clips: Path, copies: int) -> dict[str, Any]:
    """Hear every clip so many times in one call; the first clip is heard before the clock starts."""
    references, _ = read_reference_set(clips)
    said = {f"{n} {r.name}": r for n in range(copies) for r in references}
    [*_] = transcriber.transcribe([ToHear("warm", partial(decode, references[0].audio), Hints(language="en"))])
    before = dict(transcriber.figures())
    asked = (ToHear(key, partial(decode, r.audio), Hints(language="en")) for key, r in said.items())
    errors, audio_s = Errors(), 0.0
    with _watched() as seen:
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        heard = list(transcriber.transcribe(asked))
        wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
    for key, found in heard:
        if not isinstance(found, Heard):
            raise found
        audio_s += found.samples / RATE
        errors += count_errors(said[key].text, " ".join(s.text for s in found.segments if s.text))
    figures = {key: value - before.get(key, 0.0) for key, value in transcriber.figures().items() if key != "fill"}
    size = transcriber.device.batch_size
    return {
        "batch_size": size,
        "compute_type": transcriber.device.compute_type,
        "audio_hours": audio_s / 3600,
        "hours_an_hour": audio_s / wall_s,
        "cpu_s_an_audio_hour": 3600 * cpu_s / audio_s,
        "fill": figures["windows"] / (figures["batches"] * size),
        "wer": errors.wer,
        "utilisation": statistics.fmean(u for u, _ in seen) / 100 if seen else None,
        "peak_gpu_mib": max((m for _, m in seen), default=None),
        "figures": figures,
    }


def told(found: Mapping[str, Any]) -> str:
    """Render the outcome as Markdown."""
    if "not_measured" in found:
        return f"Not measured: {found['not_measured']}."
    lines = [
        "| model, windows a call | audio hours an hour | GPU busy | GPU MiB | fill | CPU s an audio hour | WER |"
        f" GPUs for {WANTED:,} hours an hour |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['model']}, {row['batch_size']}, {row['compute_type']} | {row['hours_an_hour']:.0f} "
        f"| {_or_unknown(row['utilisation'], '.0%')} | {_or_unknown(row['peak_gpu_mib'], '.0f')} | {row['fill']:.2f} "
        f"| {row['cpu_s_an_audio_hour']:.0f} | {_or_unknown(row['wer'], '.2%')} "
        f"| {math.ceil(WANTED / row['hours_an_hour'])} |"
        for row in found["rows"]
    ]
    weights = f"Weights of large-v3-turbo's shape are random: {found['tokens_a_window']} tokens a window, no words."
    return "\n".join([*lines, "", weights])


@contextmanager
def _watched() -> Iterator[list[tuple[float, float]]]:
    # Samples of how busy the GPU is, in percent, and of its memory, in MiB; the list is full when the body has ended.
    samples: list[tuple[float, float]] = []
    try:
        smi = subprocess.Popen(QUERY.split(), stdout=subprocess.PIPE, text=True)
    except FileNotFoundError:
        yield samples
        return
    try:
        yield samples
    finally:
        smi.terminate()
        lines, _ = smi.communicate()
        for line in lines.splitlines():
            cells = line.split(",")
            if len(cells) == 2 and all(cell.strip().isdigit() for cell in cells):
                samples.append((float(cells[0]), float(cells[1])))


def _load(folder: Path, device: Device, threads: int, *, tokens: int) -> Any:
    from faster_whisper import WhisperModel

    model = WhisperModel(
        str(folder), device=device.name, compute_type=device.compute_type, cpu_threads=threads, local_files_only=True
    )
    return limited(model, tokens)


def _or_unknown(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
