"""What becomes of a risky window: which rung is tried, which hypothesis wins, and what is refused."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest

from diary_pipeline.transcription.heard import HeardWindow, PlacedWord
from diary_pipeline.transcription.repair.ears import Stretch
from diary_pipeline.transcription.repair.ladder import Repair, agree, verdict
from diary_pipeline.transcription.span import RATE, Span
from diary_pipeline.transcription.speech.windows import Window
from diary_pipeline.transcription.transcriber import Hints

TEXT = "I planted the tomatoes and then I went home to rest a while in the shade"
LOOP = "and then I went home " * 6
OWN, OTHER = "a" * 64, "b" * 64


def window(*lengths_s: float, speech_probability: float = 0.75) -> Window:
    spans, at = [], 0
    for length in (round(s * RATE) for s in lengths_s):
        spans.append(Span(at, at + length))
        at += length + RATE
    return Window(
        np.zeros(sum(span.length for span in spans), np.float32), tuple(spans), 0, speech_probability=speech_probability
    )


def heard(at: Window, text: str, logprob: float = -0.1, language: str = "en", sha256: str = OWN) -> HeardWindow:
    said = text.split()
    step = at.length // max(1, len(said))
    words = tuple(PlacedWord(f" {word}", at.place(i * step, (i + 1) * step), 0.8) for i, word in enumerate(said))
    return HeardWindow(at.spans, words, language, 0.95, logprob, 0.02, rung="sequential", model_sha256=sha256)


class ScriptedEars:
    """Says what the script says, in order; keeps what it was asked."""

    def __init__(
        self, *script: tuple[str, float], sha256: str = OWN, changes: Sequence[Stretch] = (), knows: str = ""
    ) -> None:
        self.asked: list[tuple[int, str | None, tuple[str, ...]]] = []
        self.model_sha256 = sha256
        self._script = iter(script)
        self._changes = tuple(changes)
        self._knows = knows

    def listen(self, window: Window, *, language: str | None, vocabulary: Sequence[str] = ()) -> HeardWindow | None:
        if self._knows and language != self._knows:
            return None
        self.asked.append((window.length // RATE, language, tuple(vocabulary)))
        text, logprob = next(self._script)
        return heard(window, text, logprob, language or "en", self.model_sha256)

    def languages(self, window: Window, owned: Sequence[str]) -> tuple[Stretch, ...]:
        return self._changes


WHOLE = window(5)


def test_a_trusted_window_costs_nothing() -> None:
    ears = ScriptedEars()
    (same,) = Repair(ears)(WHOLE, heard(WHOLE, TEXT), Hints(), "en")
    assert (same.text, same.risks, same.refused, ears.asked) == (TEXT, (), None, [])


def test_the_first_rung_that_is_trusted_ends_the_ladder() -> None:
    long = window(6, 6)
    ears, other = ScriptedEars(), ScriptedEars((TEXT, -0.2), sha256=OTHER)
    (mended,) = Repair(ears, other)(long, heard(long, LOOP), Hints(vocabulary=("Anna",)), "en")
    assert (mended.text, mended.rung, mended.model_sha256) == (TEXT, "other_model", OTHER)
    assert mended.language_probability == 0.95, "what was found out about the language still holds"
    assert (ears.asked, other.asked) == ([], [(12, "en", ("Anna",))])


def test_rungs_are_tried_in_their_own_order_however_they_are_named() -> None:
    ears, other = ScriptedEars((TEXT, -0.2)), ScriptedEars(sha256=OTHER)
    found = dataclasses.replace(heard(WHOLE, TEXT, -0.5, "ja"), language_probability=0.6)
    ladder = ("missed", "other_model", "own_language")
    (mended,) = Repair(ears, other, ladder=ladder)(WHOLE, found, Hints(languages=("de", "en")), "en")
    assert (mended.rung, other.asked) == ("own_language", [])


def test_a_model_that_does_not_know_the_language_is_passed_over() -> None:
    other = ScriptedEars(sha256=OTHER, knows="en")
    (refused,) = Repair(ScriptedEars(), other)(WHOLE, heard(WHOLE, LOOP, language="de"), Hints("de"), "de")
    assert refused.refused == "loop"


def test_what_no_rung_can_mend_is_refused_for_its_worst_signal() -> None:
    other = ScriptedEars((LOOP, -0.6), sha256=OTHER)
    (refused,) = Repair(ScriptedEars(), other)(WHOLE, heard(WHOLE, LOOP), Hints(), "en")
    assert (refused.refused, refused.spans) == ("loop", WHOLE.spans)


def test_without_a_ladder_risky_text_is_refused_unheard() -> None:
    (refused,) = Repair(ScriptedEars(), ladder=())(WHOLE, heard(WHOLE, LOOP), Hints(), "en")
    assert refused.refused == "loop"


def test_a_single_doubt_is_kept_and_told() -> None:
    (kept,) = Repair(ScriptedEars())(WHOLE, heard(WHOLE, TEXT, -0.45), Hints(), "en")
    assert (kept.refused, kept.risks, kept.avg_logprob) == (None, ("avg_logprob",), -0.45)


def test_the_language_of_the_owner_is_forced_when_another_was_found() -> None:
    ears = ScriptedEars((TEXT, -0.2))
    found = dataclasses.replace(heard(WHOLE, TEXT, -0.5, "ja"), language_probability=0.6)
    (mended,) = Repair(ears)(WHOLE, found, Hints(languages=("de", "en")), "en")
    assert [language for _, language, _ in ears.asked] == ["en"]
    assert (mended.rung, mended.language, mended.risks) == ("own_language", "en", ())


def test_another_language_that_nothing_speaks_against_is_never_forced_into_the_recordings() -> None:
    ears = ScriptedEars()
    found = dataclasses.replace(heard(WHOLE, TEXT, -0.9, "fr"), language_probability=0.99)
    (refused,) = Repair(ears)(WHOLE, found, Hints(languages=("en", "fr")), "en")
    assert (refused.refused, ears.asked) == ("hopeless_logprob", [])


def test_only_the_bad_part_of_a_window_becomes_inaudible() -> None:
    long = window(6, 6, 6)
    ears = ScriptedEars((TEXT, -0.2), (LOOP, -0.9), (TEXT, -0.2))
    parts = Repair(ears)(long, heard(long, LOOP), Hints(), "en")
    assert [(part.spans, part.refused) for part in parts] == [
        ((long.spans[0],), None),
        ((long.spans[1],), "loop"),
        ((long.spans[2],), None),
    ]
    assert [part.rung for part in parts] == ["apart"] * 3


def test_inaudible_neighbours_are_one_part() -> None:
    long = window(6, 6, 6)
    ears = ScriptedEars((TEXT, -0.2), (LOOP, -0.9), (LOOP, -0.9))
    parts = Repair(ears)(long, heard(long, LOOP), Hints(), "en")
    assert [part.spans for part in parts] == [long.spans[:1], long.spans[1:]]


def test_a_change_of_language_is_heard_in_both() -> None:
    long = window(6, 6)
    changes = (Stretch(0, 6 * RATE, "en", 0.99), Stretch(6 * RATE, 12 * RATE, "fr", 0.9))
    ears = ScriptedEars(
        (TEXT, -0.2), ("Nous avons préparé une soupe et parlé de tout ce qui nous manque.", -0.3), changes=changes
    )
    switched = dataclasses.replace(heard(long, TEXT), risks=("language_switch",))
    parts = Repair(ears)(long, switched, Hints(languages=("en", "fr")), "en")
    assert [(part.language, part.language_probability, part.risks) for part in parts] == [
        ("en", 0.99, ()),
        ("fr", 0.9, ()),
    ]
    assert [part.spans for part in parts] == [long.spans[:1], long.spans[1:]]


def test_a_change_that_is_not_confirmed_is_forgotten() -> None:
    switched = dataclasses.replace(heard(WHOLE, TEXT), risks=("language_switch",))
    (kept,) = Repair(ScriptedEars())(WHOLE, switched, Hints(), "en")
    assert (kept.risks, kept.refused) == ((), None)


def test_where_nothing_was_heard_and_voice_activity_was_weak_nobody_listens_again() -> None:
    faint = window(5, speech_probability=0.2)
    ears = ScriptedEars()
    (nothing,) = Repair(ears)(faint, heard(faint, "", -0.9), Hints(), "en")
    assert (nothing.text, ears.asked) == ("", [])


def test_a_model_led_by_the_hints_is_not_led_again() -> None:
    faint = window(3, speech_probability=0.4)
    other = ScriptedEars(("", -0.9), sha256=OTHER)
    echo, hints = heard(faint, "Priscilla, Anna, Priscilla, Anna"), Hints(vocabulary=("Anna", "Priscilla"))
    (nothing,) = Repair(ScriptedEars(), other)(faint, echo, hints, "en")
    assert other.asked == [(3, "en", ())]
    assert nothing.text == ""


def test_two_engines_that_agree_beat_one_with_fewer_signals() -> None:
    doubts = ("avg_logprob", "no_speech_prob")
    one = dataclasses.replace(heard(WHOLE, TEXT, -0.5), risks=doubts)
    two = dataclasses.replace(heard(WHOLE, TEXT, -0.6, sha256=OTHER), risks=doubts)
    alone = dataclasses.replace(heard(WHOLE, "something else entirely", -0.3), risks=("too_little_text",))
    assert verdict([one, alone, two]) == one
    assert verdict([one]).refused == "avg_logprob"


def test_engines_that_agree_on_a_loop_are_not_believed() -> None:
    looped = dataclasses.replace(heard(WHOLE, LOOP), risks=("loop",))
    assert verdict([looped, dataclasses.replace(looped, model_sha256=OTHER)]).refused == "loop"


@pytest.mark.parametrize(
    ("text", "sha256", "agreed"),
    [(TEXT, OTHER, True), (TEXT.upper() + ".", OTHER, True), (TEXT, OWN, False), (LOOP, OTHER, False)],
)
def test_only_another_model_can_agree(text: str, sha256: str, agreed: bool) -> None:
    assert agree(heard(WHOLE, TEXT), heard(WHOLE, text, sha256=sha256)) == agreed
