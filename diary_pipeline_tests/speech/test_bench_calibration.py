"""The calibration benchmark goes from a planted fault to its tables with real weights; docs/calibration.md has them."""

import json

import numpy as np
import pytest

from benchmarks.calibration import LADDERS, RememberingEars, case_of, load, print_tables
from diary_pipeline.audio.decode import RATE, decode
from diary_pipeline_tests.recordings.faulty import WHOLE_WAV
from diary_pipeline_tests.recordings.planted import Planted

pytestmark = pytest.mark.speech


@pytest.mark.slow
def test_one_planted_fault_fills_every_table(capsys: pytest.CaptureFixture[str]) -> None:
    model = load("tiny.en")
    backwards = np.concatenate(list(decode(WHOLE_WAV)))[: 8 * RATE][::-1].copy()
    case = case_of(model, "held out", Planted("reversed", backwards, "nobody can tell what was said"))
    print_tables([case], RememberingEars(model.ears), model.ears)
    printed = capsys.readouterr().out.splitlines()
    [heard, rates] = [json.loads(line) for line in printed if line.startswith("{")]
    assert (heard["fault"], heard["model"]) == ("reversed", "tiny.en")
    assert heard["signals"]
    assert (rates["wrong"], rates["caught"]) == (1, 1)
    assert sum(line.startswith(("| the same weights |", "| other_model |")) for line in printed) >= 2
    for ladder in LADDERS:
        assert any(line.startswith(f"| {', '.join(ladder) or 'none'} |") for line in printed)
