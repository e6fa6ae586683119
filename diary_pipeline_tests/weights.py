"""Real Whisper weights for tests: found where the settings say, loaded once per process, never fetched."""

import functools
import os
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # before huggingface_hub is imported, which reads it once

from diary_pipeline.settings import load_settings
from diary_pipeline.transcription.weights.models import resolve
from diary_pipeline.transcription.whisper.faster_whisper import FasterWhisperTranscriber, Tuning


def weights(name: str) -> Path:
    """Return the folder of a model; ServiceMissing with the command to run when it is not here."""
    return resolve(name, load_settings().model_dir)


@functools.cache
def real_transcriber(name: str) -> FasterWhisperTranscriber:
    """Return the one engine of this process for a model."""
    threads = 1 if "PYTEST_XDIST_WORKER" in os.environ else 0  # each worker one core
    return FasterWhisperTranscriber(weights(name), name, Tuning(cpu_threads=threads))
