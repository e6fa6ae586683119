"""An engine's key changes with everything that may change words, and with nothing else."""

from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest

from diary_pipeline.core.transcript import Engine
from diary_pipeline.transcription.whisper.faster_whisper import FasterWhisperTranscriber, Tuning

ON_CPU = Tuning("cpu", cpu_threads=1)


def engine(folder: Path, tuning: Tuning = ON_CPU, weights: bytes = b"weights") -> Engine:
    (folder / "model.bin").write_bytes(weights)
    return FasterWhisperTranscriber(folder, "ours", tuning).engine


def test_the_parameters_name_device_precision_features_and_libraries(tmp_path: Path) -> None:
    told = engine(tmp_path).parameters
    assert (told["device"], told["compute_type"], told["log_mel"]) == ("cpu", "int8", "numpy")
    for package in ("faster-whisper", "ctranslate2", "av"):
        assert told[package] == version(package)


@pytest.mark.parametrize("name", ["faster-whisper", "ctranslate2", "av", "device", "compute_type", "log_mel"])
def test_another_library_device_or_way_to_features_is_another_engine(tmp_path: Path, name: str) -> None:
    ours = engine(tmp_path)
    assert replace(ours, parameters={**ours.parameters, name: "another"}).key != ours.key


def test_weights_precision_beams_and_ladder_are_the_engine_and_threads_and_windows_are_not(tmp_path: Path) -> None:
    ours = engine(tmp_path)
    others = [
        engine(tmp_path, weights=b"others"),
        engine(tmp_path, replace(ON_CPU, compute_type="float32")),
        engine(tmp_path, replace(ON_CPU, beam_size=1)),
        engine(tmp_path, replace(ON_CPU, ladder=())),
    ]
    assert len({ours.key, *(one.key for one in others)}) == 5
    assert engine(tmp_path, replace(ON_CPU, cpu_threads=2, batch_size=3)).key == ours.key


def test_the_order_in_which_rungs_are_named_is_no_other_engine(tmp_path: Path) -> None:
    one, other = (replace(ON_CPU, ladder=rungs) for rungs in (("missed", "apart"), ("apart", "missed", "apart")))
    assert engine(tmp_path, one).key == engine(tmp_path, other).key
    assert engine(tmp_path, one).parameters["repair"] == "apart,missed"
