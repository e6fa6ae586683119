"""What the signals catch and what repair gains, on faults planted into good speech: tables and one JSON line each.

The limits in transcription/repair/risk.py were chosen while looking at faults of the first recording below. The
held-out ones have other voices and other words. Every fault is heard as the platform hears it, and every risky window
again on each rung, so that any ladder can be worked out from the same hearings.

A recording counts as wrong when a seventh of its words or more are, or when something is written that nobody said.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from diary_pipeline.audio.decode import RATE, decode
from diary_pipeline.settings import load_settings
from diary_pipeline.transcription.evaluation.word_errors import Errors, count_errors
from diary_pipeline.transcription.heard import HeardWindow
from diary_pipeline.transcription.repair.ears import Ears, Stretch
from diary_pipeline.transcription.repair.ladder import Repair, trusted
from diary_pipeline.transcription.repair.phantoms import phantom_words
from diary_pipeline.transcription.repair.risk import LANGUAGE_SWITCH, believable, risks
from diary_pipeline.transcription.repair.rungs import LADDER
from diary_pipeline.transcription.speech.windows import Window
from diary_pipeline.transcription.transcriber import Block, Hints, hear
from diary_pipeline.transcription.weights.models import resolve
from diary_pipeline.transcription.whisper.faster_whisper import FasterWhisperTranscriber, Tuning
from diary_pipeline_tests.recordings.faulty import DEMO
from diary_pipeline_tests.recordings.planted import (
    HELD_OUT,
    Planted,
    Speech,
    TimedWord,
    from_nothing,
    from_speech,
    joined,
)
from diary_pipeline_tests.recordings.script_languages import LANGUAGES

MODELS = {"tiny.en": "base", "base": "tiny.en"}
"""Each with the other size that may listen again."""
CHOSEN_ON = ("memo_2026-03-04_07-45.ogg",)
HELD_OUT_ON = ("bakery.ogg", "lake.ogg")
FOREIGN = ("fr_le_jardin.ogg", "es_el_mercado.ogg")
WRONG = 1 / 7
Found = TypeVar("Found")
LADDERS: tuple[tuple[str, ...], ...] = (
    (),
    ("own_language",),
    ("other_model",),
    ("apart",),
    ("other_model", "apart"),
    LADDER,
)


@dataclass
class Hearing:
    """One window of a planted recording, and what it became."""

    window: Window
    first: HeardWindow
    language: str | None
    again: dict[str, HeardWindow] = field(default_factory=dict)


@dataclass
class Case:
    """One planted recording, heard by one model."""

    model: str
    source: str
    planted: Planted
    hearings: list[Hearing]

    @property
    def flagged(self) -> tuple[str, ...]:
        """Signals of any window."""
        return tuple(dict.fromkeys(code for hearing in self.hearings for code in hearing.first.risks))

    @property
    def wrong(self) -> bool:
        """Whether the first hearing is not what was said."""
        heard = _text(h.first for h in self.hearings)
        return bool(heard) if not self.planted.said else _errors(self.planted, heard).wer >= WRONG


class Overheard(FasterWhisperTranscriber):
    """The platform's engine, whose windows can be looked at before anything is done about them."""

    def first_hearing(self, sound: Block) -> list[Hearing]:
        """Hear a recording, and judge its windows without repairing any."""
        self._hearings: list[Hearing] = []
        hear(self, np.array_split(sound, max(1, len(sound) // RATE)))
        return self._hearings

    def _judged(
        self, window: Window, heard: HeardWindow, hints: Hints, language: str | None
    ) -> tuple[HeardWindow, ...]:
        codes = risks(heard, hints, language=language, speech_probability=window.speech_probability)
        if LANGUAGE_SWITCH in codes and len(self.ears.languages(window, ())) < 2:
            codes = tuple(code for code in codes if code != LANGUAGE_SWITCH)
        self._hearings.append(Hearing(window, replace(heard, risks=codes), language))
        return (heard,)


class RememberingEars:
    """Ears that hear everything once, so that many ladders can be compared; adds up the CPU seconds."""

    def __init__(self, ears: Ears) -> None:
        self.cpu_s = 0.0
        self._ears = ears
        self._heard: dict[tuple[Any, ...], tuple[Any, float]] = {}

    @property
    def model_sha256(self) -> str:
        """The weights that listen."""
        return self._ears.model_sha256

    def listen(self, window: Window, *, language: str | None, vocabulary: Sequence[str] = ()) -> HeardWindow | None:
        """Hear a window, or remember it."""
        key = (window.audio.tobytes(), language, tuple(vocabulary))
        return self._once(key, lambda: self._ears.listen(window, language=language, vocabulary=vocabulary))

    def languages(self, window: Window, owned: Sequence[str]) -> tuple[Stretch, ...]:
        """Cut a window where its language changes, or remember it."""
        return self._once((window.audio.tobytes(), tuple(owned)), lambda: self._ears.languages(window, owned))

    def _once(self, key: tuple[Any, ...], hear: Callable[[], Found]) -> Found:
        if key not in self._heard:
            began = time.process_time()
            self._heard[key] = (hear(), time.process_time() - began)
        found: Found = self._heard[key][0]
        self.cpu_s += self._heard[key][1]
        return found


def main(models: Iterable[str] = tuple(MODELS)) -> None:
    """Hear everything, judge, repair, and print."""
    loaded = {name: load(name) for name in MODELS}
    for name in models:
        own = RememberingEars(loaded[name].ears)
        planted = _planted(loaded["base"], name)
        print_tables([case_of(loaded[name], source, one) for source, one in planted], own, loaded[MODELS[name]].ears)
        _print_clean(name, loaded[name])
        if not name.endswith(".en"):
            _print_wrong_language(loaded[name], own)


def print_tables(cases: Sequence[Case], own: RememberingEars, second: Ears) -> None:
    """Judge and repair what was heard by one model; `own` are its ears, `second` those of the other size."""
    other = RememberingEars(second)
    _print_cases(cases, Repair(own, other))
    _print_rates(cases)
    _print_rungs(cases, own, other)
    _print_ladders(cases, own, other)


def _planted(model: Overheard, name: str) -> Iterator[tuple[str, Planted]]:
    for planted in from_nothing():
        yield "nothing", planted
    crowd = [_speech(model, DEMO / n) for n in ("20260305_191000.flac", "New Recording 7.m4a", "birthday idea.mp3")]
    foreign = [_speech(model, LANGUAGES / n) for n in FOREIGN]
    for folder, names, source in ((DEMO, CHOSEN_ON, "chosen on"), (HELD_OUT, HELD_OUT_ON, "held out")):
        for file_name, second in zip(names, foreign, strict=False):
            speech = _speech(model, folder / file_name)
            for planted in from_speech(speech, crowd):
                yield source, planted
            if not name.endswith(".en"):
                yield source, joined(speech, second, 9.0)


def _speech(model: Overheard, path: Path) -> Speech:
    sound = np.concatenate(list(decode(path)))
    words = [
        TimedWord(w.text.strip(), w.at.start / RATE, w.at.end / RATE)
        for hearing in model.first_hearing(sound)
        for w in hearing.first.words
    ]
    said = json.loads((path.parent / "said.json").read_text(encoding="utf-8"))[path.name]
    if isinstance(said, dict):
        said = said["text"] if "text" in said else " ".join(p["text"] for p in said["passages"])
    return Speech(sound, said, words)


def case_of(model: Overheard, source: str, planted: Planted) -> Case:
    """Hear one planted recording."""
    return Case(model.engine.model, source, planted, model.first_hearing(planted.sound))


def _print_cases(cases: Sequence[Case], repair: Repair) -> None:
    print(
        "| model | recording | fault | WER | signals | WER after | wrong words | inaudible | rungs |\n"
        + "|---" * 9
        + "|"
    )
    for case in cases:
        parts = _repaired(case, repair)
        before, after = _text(h.first for h in case.hearings), _text(p for p in parts if not p.refused)
        speech_s, lost_s = _seconds(parts), _seconds(p for p in parts if p.refused or not p.words)
        row = {
            "model": case.model,
            "recording": case.source,
            "fault": case.planted.fault,
            "wer": _rate(case.planted, before),
            "signals": " ".join(case.flagged),
            "wer_after": _rate(case.planted, after),
            "wrong_words": f"{_wrong_words(case.planted, before)} > {_wrong_words(case.planted, after)}",
            "inaudible": f"{lost_s / speech_s:.0%}" if speech_s else "",
            "rungs": " ".join(dict.fromkeys(p.rung for p in parts if not p.refused)),
        }
        print("| " + " | ".join(str(v) for v in row.values()) + " |", flush=True)
        kept = sum(bool(phantom_words(p.text)) for p in parts if not p.refused and not case.planted.said)
        print(json.dumps({**row, "phantoms_kept": kept}), flush=True)


def _print_rates(cases: Sequence[Case]) -> None:
    for source in dict.fromkeys(case.source for case in cases):
        here = [case for case in cases if case.source == source]
        wrong = [case for case in here if case.wrong]
        right = [case for case in here if not case.wrong]
        caught, alarms = sum(bool(c.flagged) for c in wrong), [c.planted.fault for c in right if c.flagged]
        row = {"model": cases[0].model, "recordings": source, "wrong": len(wrong), "caught": caught}
        print(json.dumps({**row, "right": len(right), "alarms": len(alarms), "alarmed": alarms}), flush=True)


def _print_rungs(cases: Sequence[Case], own: RememberingEars, other: RememberingEars) -> None:
    risky = [(case, h) for case in cases for h in case.hearings if h.first.risks and case.planted.said]
    single = [(case, h) for case, h in risky if len(case.hearings) == 1]
    print(f"\n{len(single)} risky windows that were heard again as a whole, each on every rung:\n")
    print("| heard again | errors before | errors after | better | worse | trusted | kept |\n" + "|---" * 7 + "|")
    for rung, ears in (("the same weights", own), ("other_model", other)):
        before = after = better = worse = sure = kept = 0
        for case, h in single:
            again = ears.listen(h.window, language=h.first.language)
            if again is None:
                continue
            codes = risks(again, Hints(), language=h.language, speech_probability=h.window.speech_probability)
            a, b = _errors(case.planted, h.first.text).word_errors, _errors(case.planted, again.text).word_errors
            before, after, better, worse = before + a, after + b, better + (b < a), worse + (b > a)
            sure, kept = sure + trusted(replace(again, risks=codes)), kept + believable(codes)
        print(f"| {rung} | {before} | {after} | {better} | {worse} | {sure} | {kept} |", flush=True)


def _print_ladders(cases: Sequence[Case], own: RememberingEars, other: RememberingEars) -> None:
    print("\nWords over all planted recordings, by ladder:\n")
    print("| ladder | right words kept | wrong words kept | CPU s of repair |\n" + "|---" * 4 + "|")
    for ladder in LADDERS:
        own.cpu_s = other.cpu_s = 0.0
        repair = Repair(own, other, ladder=ladder)
        right = wrong = 0
        for case in cases:
            text = _text(p for p in _repaired(case, repair) if not p.refused)
            found = _errors(case.planted, text)
            right += found.words - found.substitutions - found.deletions
            wrong += found.substitutions + found.insertions
        print(f"| {', '.join(ladder) or 'none'} | {right} | {wrong} | {own.cpu_s + other.cpu_s:.0f} |", flush=True)


def _print_clean(name: str, model: Overheard) -> None:
    folders = [DEMO, HELD_OUT] + ([] if name.endswith(".en") else [LANGUAGES])
    paths = [p for folder in folders for p in sorted(folder.iterdir()) if p.suffix != ".json"]
    hearings = [(p, h) for p in paths for h in model.first_hearing(np.concatenate(list(decode(p))))]
    alarmed = {p.name: h.first.risks for p, h in hearings if h.first.risks}
    print(json.dumps({"model": name, "clean_windows": len(hearings), "alarmed": alarmed}), flush=True)


def _print_wrong_language(model: Overheard, own: RememberingEars) -> None:
    print("\nEnglish that was taken for another language while the recording is English:\n")
    print("| recording | taken for | errors before | signals | errors after | rung |\n" + "|---" * 6 + "|")
    for path in (DEMO / CHOSEN_ON[0], *(HELD_OUT / name for name in HELD_OUT_ON)):
        speech = _speech(model, path)
        (hearing,) = model.first_hearing(speech.sound)
        for taken_for in ("de", "ja"):
            heard = own.listen(hearing.window, language=taken_for)
            if heard is None:
                continue
            flipped = replace(heard, language_probability=0.75)
            codes = risks(flipped, Hints(), language="en", speech_probability=hearing.window.speech_probability)
            parts = Repair(own)(hearing.window, flipped, Hints(), "en")
            after = count_errors(speech.said, _text(p for p in parts if not p.refused)).word_errors
            before, rungs = count_errors(speech.said, heard.text).word_errors, " ".join(p.rung for p in parts)
            print(f"| {path.name} | {taken_for} | {before} | {' '.join(codes)} | {after} | {rungs} |", flush=True)


def _repaired(case: Case, repair: Repair) -> list[HeardWindow]:
    return [part for h in case.hearings for part in repair(h.window, h.first, Hints(), h.language)]


def _text(heard: Iterable[HeardWindow]) -> str:
    return " ".join(one.text for one in heard).strip()


def _errors(planted: Planted, text: str) -> Errors:
    return count_errors(planted.said, text)


def _rate(planted: Planted, text: str) -> str:
    return f"{_errors(planted, text).wer:.0%}" if planted.said else f"{len(text.split())} words"


def _wrong_words(planted: Planted, text: str) -> int:
    found = _errors(planted, text)
    return found.substitutions + found.insertions


def _seconds(parts: Iterable[HeardWindow]) -> float:
    return sum(part.samples for part in parts) / RATE


def load(name: str) -> Overheard:
    """Give the platform's engine for a model, as the tables are made with it."""
    return Overheard(resolve(name, load_settings().model_dir), name, Tuning("cpu", "int8", cpu_threads=1))


if __name__ == "__main__":
    main()
