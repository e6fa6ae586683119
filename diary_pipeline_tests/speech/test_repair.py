"""Real weights on planted faults: what nobody said is refused, what was said stays, and no sample is lost."""

import functools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faster_whisper import WhisperModel

from diary_pipeline.audio.decode import decode
from diary_pipeline.settings import load_settings
from diary_pipeline.transcription.heard import HeardWindow
from diary_pipeline.transcription.repair.ladder import Repair
from diary_pipeline.transcription.repair.risk import LANGUAGE_SWITCH
from diary_pipeline.transcription.span import RATE, Span
from diary_pipeline.transcription.speech.speech_activity import Silero
from diary_pipeline.transcription.speech.windows import Window, WindowCutter, windows
from diary_pipeline.transcription.transcriber import Hints
from diary_pipeline.transcription.whisper.sequential import SequentialEars
from diary_pipeline.wiring.deployment import Wiring
from diary_pipeline_tests.recordings.faulty import DEMO
from diary_pipeline_tests.recordings.planted import HELD_OUT, from_nothing
from diary_pipeline_tests.recordings.planted import RATE as PLANTED_RATE
from diary_pipeline_tests.recordings.script_languages import LANGUAGES
from diary_pipeline_tests.weights import weights

pytestmark = pytest.mark.speech


@functools.cache
def ears(name: str) -> SequentialEars:
    model = WhisperModel(str(weights(name)), device="cpu", compute_type="int8", cpu_threads=1)
    return SequentialEars(lambda: model, name)


@functools.cache
def sound(path: Any) -> Any:
    return np.concatenate(list(decode(path)))


def window_of(samples: Any) -> Window:
    (found,) = windows(np.array_split(samples, 10), WindowCutter(Silero()))
    return found


def repaired(name: str, window: Window, risks: tuple[str, ...] = (), hints: Hints | None = None) -> list[HeardWindow]:
    heard = ears(name).listen(window, language="en")
    assert heard is not None
    heard = HeardWindow(**{**vars(heard), "risks": risks})
    parts = Repair(ears(name))(window, heard, hints or Hints(), "en")
    assert [n for p in parts for s in p.spans for n in range(s.start, s.end)] == [
        n for s in window.spans for n in range(s.start, s.end)
    ], "every sample is in one part"
    return list(parts)


def kept(parts: Iterable[HeardWindow]) -> str:
    return " ".join(p.text for p in parts if not p.refused).strip()


def test_the_rates_are_the_same() -> None:
    assert RATE == PLANTED_RATE


def test_nothing_is_invented_over_tones() -> None:
    tones = next(p.sound for p in from_nothing() if p.fault == "music-like tones")
    assert kept(repaired("tiny.en", window_of(tones))) == ""


def test_nothing_is_kept_of_reversed_speech() -> None:
    assert kept(repaired("tiny.en", window_of(sound(DEMO / "20260307_114000.ogg")[: 12 * RATE][::-1].copy()))) == ""


def test_a_really_spoken_thank_you_at_the_end_stays() -> None:
    (part,) = repaired("tiny.en", window_of(sound(HELD_OUT / "thanks.ogg")))
    assert part.text.endswith("Thank you.")
    assert (part.risks, part.refused) == ((), None)


def test_a_really_spoken_thank_you_alone_stays() -> None:
    window = window_of(sound(HELD_OUT / "thanks.ogg"))
    last = window.clock(window.spans[-1].start)
    alone = Window(window.audio[last:], window.spans[-1:], window.offset + last, window.speech_probability)
    (part,) = repaired("tiny.en", alone)
    assert (part.text, part.refused) == ("Thank you.", None)


def test_hints_are_not_heard_out_of_noise() -> None:
    names = ("Priscilla", "ComfyUI", "Wolfgang")
    noise = np.random.default_rng(3).normal(0, 0.05, 6 * RATE).astype(np.float32)
    whole = Window(noise, (Span(0, len(noise)),), 0, 0.2)
    heard = ears("tiny.en").listen(whole, language="en", vocabulary=names)
    assert heard is not None
    assert kept(Repair(ears("tiny.en"))(whole, heard, Hints(vocabulary=names), "en")) == ""


def test_the_settings_choose_the_rungs_and_the_second_model(tmp_path: Path) -> None:
    chosen = {"DIARY_REPAIR_LADDER": "other_model,apart", "DIARY_REPAIR_MODEL": "tiny.en", "DIARY_HOME": str(tmp_path)}
    wiring = Wiring(load_settings({"DIARY_MODEL_DIR": str(load_settings().model_dir), **chosen}))
    told = wiring.transcriber("base").engine.parameters
    assert told["repair"] == "other_model,apart"
    assert told["repair_model_sha256"] == wiring.transcriber("tiny.en").engine.model_sha256
    assert wiring.transcriber("tiny.en").engine.parameters["repair_model_sha256"] == "", (
        "a model does not repair itself"
    )


def test_noise_and_single_words_have_no_second_language() -> None:
    noise = np.random.default_rng(3).normal(0, 0.05, 9 * RATE).astype(np.float32)
    for length in (1, 9):
        assert ears("base").languages(Window(noise[: length * RATE], (Span(0, length * RATE),), 0), ()) == ()


@pytest.mark.slow
def test_a_second_language_in_one_window_is_written_in_its_own_words() -> None:
    french = json.loads((LANGUAGES / "said.json").read_text(encoding="utf-8"))["fr_le_jardin.ogg"]["passages"][0][
        "text"
    ]
    english = sound(DEMO / "20260303_201500.mp3")[: 8 * RATE]
    both = np.concatenate([english, np.zeros(RATE // 2, np.float32), sound(LANGUAGES / "fr_le_jardin.ogg")])
    parts = repaired("base", window_of(both), (LANGUAGE_SWITCH,), Hints(languages=("en", "fr")))
    assert [part.language for part in parts] == ["en", "fr"]
    assert parts[0].text.startswith("The kitchen tap has been dripping")
    assert len(set(french.split()) & set(parts[1].text.split())) > len(set(french.split())) / 2
