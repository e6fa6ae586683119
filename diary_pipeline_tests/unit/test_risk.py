"""Each signal of a stretch of transcript: what raises it, what lies just on the other side, and what they weigh."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from diary_pipeline.transcription.heard import HeardWindow, PlacedWord
from diary_pipeline.transcription.repair.phantoms import phantom_words
from diary_pipeline.transcription.repair.risk import (
    DAMNING,
    LIMITS,
    believable,
    chars_per_s,
    clipped_share,
    foreign_script,
    loop,
    only_vocabulary,
    risks,
)
from diary_pipeline.transcription.span import RATE, Span
from diary_pipeline.transcription.transcriber import Hints

SENTENCE = "I planted the tomatoes this morning and now my back hurts."


def heard(text: str = SENTENCE, speech_s: float = 4.0, word_probability: float = 0.8, **changes: Any) -> HeardWindow:
    at = Span(0, round(speech_s * RATE))
    words = tuple(PlacedWord(f" {word}", at, word_probability) for word in text.split())
    good = HeardWindow((at,), words, "en", 0.98, avg_logprob=-0.15, no_speech_prob=0.03)
    return dataclasses.replace(good, **changes)


@pytest.mark.parametrize(
    ("text", "repeats", "looped"),
    [
        ("", 0, False),
        ("one", 1, False),
        ("a walk by the river", 1, False),
        ("I am so so tired", 2, False),
        ("I am so so so tired today, really, and I went to bed at nine", 3, False),
        ("the the the the the the the", 7, True),
        ("And then I went home, and then I went home. And then I went home!", 3, True),
        ("no no no, I said, and left", 3, True),
        ("ありがとうありがとうありがとうありがとうありがとう", 5, True),
        ("今日は友達と公園に行って、お弁当を食べてから帰りました", 1, False),
    ],
)
def test_loops_are_counted(text: str, repeats: int, looped: bool) -> None:
    most, share = loop(text)
    assert most == repeats
    assert (most >= LIMITS.loop_repeats and share >= LIMITS.loop_share) == looped


@pytest.mark.parametrize(
    ("text", "language", "share"),
    [
        ("", "en", 0.0),
        ("1140, $86!", "en", 0.0),
        ("Über Ægir's café", "en", 0.0),
        ("Привет", "ru", 0.0),
        ("Привет", "en", 1.0),
        ("abcПри", "en", 0.5),
        ("カメラで撮る", "ja", 0.0),
        ("hello", "ja", 1.0),
        ("안녕", "ko", 0.0),
        ("Привет", None, 0.0),
    ],
)
def test_letters_are_looked_up_in_the_scripts_of_the_language(text: str, language: str | None, share: float) -> None:
    assert foreign_script(text, language) == share


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Thank you.", 2),
        ("Merci !", 1),
        ("Vielen Dank fürs Zuschauen!", 4),
        ("ご視聴ありがとうございました。", 1),
        ("Sous-titres réalisés par la communauté d'Amara.org", 9),
        ("I'll see you in the next video.", 6),
        ("The plumber came. Thanks for watching!", 3),
        ("I wrote to Anna to say thank you.", 0),
        ("We said bye and left.", 0),
        ("", 0),
    ],
)
def test_phantom_sentences_are_found_whole_and_the_telling_ones_at_the_end(text: str, words: int) -> None:
    assert phantom_words(text) == words


@pytest.mark.parametrize(
    ("text", "vocabulary", "only"),
    [
        ("ComfyUI, Priscilla", ("ComfyUI", "Priscilla Lane"), True),
        ("Priscilla and ComfyUI.", ("ComfyUI", "Priscilla"), True),
        ("I met Priscilla", ("Priscilla",), False),
        ("and the", ("Priscilla",), False),
        ("Priscilla", (), False),
    ],
)
def test_text_of_nothing_but_hints_is_known(text: str, vocabulary: tuple[str, ...], only: bool) -> None:
    assert only_vocabulary(text, vocabulary) == only


def test_speed_is_characters_by_seconds_of_speech() -> None:
    assert chars_per_s("x" * 30, 2.0) == 15.0
    assert chars_per_s("x", 0.0) == 10.0


@pytest.mark.parametrize(
    ("window", "codes", "why"),
    [
        (heard(), (), "clean speech"),
        (heard(avg_logprob=-0.41), ("avg_logprob",), "unsure of its words"),
        (heard(avg_logprob=-0.40), (), "just sure enough"),
        (heard(avg_logprob=-0.60, word_probability=0.9), (), "sure of each word"),
        (heard(avg_logprob=-0.81), ("hopeless_logprob", "avg_logprob"), "guessing"),
        (heard(no_speech_prob=0.31, avg_logprob=-0.26), ("no_speech_prob",), "perhaps nobody speaks"),
        (heard(no_speech_prob=0.90, avg_logprob=-0.25), (), "quiet speech: its words are sure"),
        (heard(no_speech_prob=0.30, avg_logprob=-0.26), (), "the limit is still good"),
        (heard(speech_s=2.0), ("too_fast",), "nobody says 29 characters a second"),
        (heard(speech_s=1.4), (), "too short to tell"),
        (heard(speech_s=12.0), ("too_little_text",), "most of it is missing"),
        (heard("Well.", 2.9), (), "a third of it is padding"),
        (heard("the the the the the the the", 3.0), ("loop",), "a loop too short for zlib"),
        (heard("and then I went home, " * 8, 10.0), ("loop", "compression_ratio"), "a loop"),
        (heard("Привет, это мой дневник."), ("foreign_script",), "Cyrillic is not English"),
        (heard(language_probability=0.69), ("language_uncertain",), "accents were taken for Japanese at 0.63"),
        (heard(speech_s=1.9, language_probability=0.5, text="I went home."), (), "too short for its language"),
        (heard(language="de", language_probability=0.89), ("language_flip",), "another language, and not sure of it"),
        (heard(language="de", language_probability=0.95), (), "people do change language"),
        (heard("", no_speech_prob=0.9, avg_logprob=None), ("speech_without_text",), "somebody spoke for 4 s"),
        (heard(" . ", avg_logprob=-0.3), ("speech_without_text",), "a full stop is no text"),
        (heard("", 1.0), (), "breath"),
        (heard("", avg_logprob=None, no_speech_prob=None), (), "an engine without scores is not judged"),
        (heard(speech_s=60.0, avg_logprob=None, no_speech_prob=None), (), "nor by its speed"),
        (heard(risks=("language_switch",)), ("language_switch",), "what the engine raised stays"),
        (heard(risks=("avg_logprob",)), (), "but what is judged here is judged anew"),
        (heard("Thank you.", 1.0), (), "really spoken"),
        (heard("Thank you.", 1.0, avg_logprob=-0.6), ("phantom_phrase", "avg_logprob"), "not sure of it"),
        (heard("Thank you.", 1.0, word_probability=0.3), ("phantom_phrase",), "not sure of its words"),
        (heard(SENTENCE + " Thanks for watching."), (), "really spoken at the end"),
        (heard(word_probability=0.49), ("unsure_words",), "every word is a guess"),
        (heard("I went home early today", 2.0, 0.49), (), "too few words for a share"),
    ],
)
def test_a_stretch_is_risky_for_named_reasons(window: HeardWindow, codes: tuple[str, ...], why: str) -> None:
    assert risks(window, Hints(), language="en") == codes, why


def test_a_phantom_end_is_known_by_its_own_words_when_the_rest_was_well_heard() -> None:
    spoken = heard(SENTENCE)
    tail = heard("Thanks for watching.", word_probability=0.2)
    found = risks(dataclasses.replace(spoken, words=spoken.words + tail.words), Hints())
    assert found == ("phantom_phrase", "unsure_words")


@pytest.mark.parametrize(("unsure", "raised"), [(0, False), (1, False), (2, True)])
def test_some_guessed_words_are_ordinary(unsure: int, raised: bool) -> None:
    window = heard()
    guessed = tuple(dataclasses.replace(word, probability=0.4) for word in window.words[:unsure])
    window = dataclasses.replace(window, words=guessed + window.words[unsure:])
    assert (risks(window, Hints()) == ("unsure_words",)) == raised


@pytest.mark.parametrize(
    ("hints", "language", "codes"),
    [
        (Hints("de"), "de", ()),
        (Hints("de", ("en",)), "en", ()),
        (Hints(None, ("de", "en")), "en", ()),
        (Hints(None, ("en", "fr")), "en", ("language_flip",)),
        (Hints(), None, ()),
    ],
)
def test_another_language_than_the_recordings_is_a_risk_unless_the_owner_speaks_it(
    hints: Hints, language: str | None, codes: tuple[str, ...]
) -> None:
    assert risks(heard(language="de", language_probability=0.8), hints, language=language) == codes


@pytest.mark.parametrize(
    ("speech_probability", "clipped", "codes"),
    [(0.6, 0.02, ()), (0.59, 0.0, ("weak_speech",)), (1.0, 0.03, ("clipped",))],
)
def test_the_sound_is_judged_too(speech_probability: float, clipped: float, codes: tuple[str, ...]) -> None:
    found = risks(heard(), Hints(), speech_probability=speech_probability, clipped=clipped)
    assert found == codes


def test_samples_at_full_scale_are_counted() -> None:
    assert clipped_share(np.array([1.0, -1.0, 0.5, 0.99], np.float32)) == 0.5
    assert clipped_share(np.zeros(0, np.float32)) == 0.0


def test_a_short_stretch_is_mostly_padding_and_not_judged_by_voice_activity() -> None:
    assert risks(heard("Thank you.", 1.4), Hints(), speech_probability=0.45) == ()


def test_hints_heard_in_noise_are_an_echo_and_well_spoken_ones_are_words() -> None:
    hints = Hints(vocabulary=("ComfyUI", "Priscilla"))
    named = heard("ComfyUI, Priscilla", 3.0)
    assert risks(named, hints) == ()
    assert risks(named, hints, speech_probability=0.3) == ("prompt_echo", "weak_speech")


@pytest.mark.parametrize(
    ("codes", "kept"),
    [
        ((), True),
        (("clipped",), True),
        (("too_fast",), True),
        (("too_fast", "clipped"), True),
        (("no_speech_prob",), True),
        (("avg_logprob", "no_speech_prob"), False),
        *(((code,), False) for code in DAMNING),
    ],
)
def test_one_doubt_is_told_and_two_or_a_damning_signal_refuse(codes: tuple[str, ...], kept: bool) -> None:
    assert believable(codes) == kept
