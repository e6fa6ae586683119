"""A worker that transcribes one file with checkpoints, as a process of its own, so that a test can kill it.

`python -m diary_pipeline_tests.speech.worker AUDIO STORE COUNT OUT`: writes a line to COUNT for each window that the
model is given, and the transcript to OUT when it is whole.
"""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from faster_whisper import WhisperModel

from diary_pipeline.audio.decode import decode
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline.transcription.checkpoints import StoredCheckpoints
from diary_pipeline.transcription.devices.device import Device
from diary_pipeline.transcription.transcriber import Heard, Hints, ToHear
from diary_pipeline.transcription.whisper.faster_whisper import FasterWhisperTranscriber, Tuning
from diary_pipeline_tests.weights import weights


class Counted:
    """A loaded model that writes down how many windows it encodes."""

    def __init__(self, model: WhisperModel, count: Path) -> None:
        self._model = model
        self._count = count

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def encode(self, features: Any) -> Any:
        """Encode, and say so first: a window that a kill interrupts was begun."""
        with self._count.open("a") as file:
            file.write("window\n" * len(features))
        return self._model.encode(features)


def main(audio: Path, store: Path, count: Path, out: Path) -> None:
    """Transcribe, resuming what an earlier life finished."""

    def load(path: Path, device: Device, threads: int) -> Counted:
        model = WhisperModel(str(path), device=device.name, compute_type=device.compute_type, cpu_threads=threads)
        return Counted(model, count)

    transcriber = FasterWhisperTranscriber(weights("tiny.en"), "tiny.en", Tuning("cpu", cpu_threads=1), load=load)
    checkpoints = StoredCheckpoints(FolderStore(store), "checkpoints/long/v1/")
    ((_, heard),) = transcriber.transcribe([ToHear("long", lambda: decode(audio), Hints(), checkpoints)])
    if not isinstance(heard, Heard):
        raise heard
    out.write_text(json.dumps(dataclasses.asdict(heard)))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
