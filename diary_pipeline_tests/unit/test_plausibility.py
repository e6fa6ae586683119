"""Every check of a transcript holds for a good one and is made to fail by one change."""

import dataclasses
from typing import Any

import pytest

from diary_pipeline.core.transcript import Engine, Segment, Transcript
from diary_pipeline.transcription.plausibility import (
    audio_is_complete,
    language_is_certain,
    transcript_covers_audio,
    transcript_is_plausible,
)

SENTENCE = "I went for a walk by the river in the morning."


def segment(number: int, start_s: float, end_s: float, **changes: Any) -> Segment:
    spoken = Segment(number, start_s, end_s, "speech", SENTENCE, "en", -0.1, 0.02, 1.2)
    return dataclasses.replace(spoken, **changes)


def quiet(number: int, start_s: float, end_s: float, kind: Any = "silence") -> Segment:
    return Segment(number, start_s, end_s, kind)


def sounding(number: int, start_s: float, end_s: float) -> Segment:
    return Segment(number, start_s, end_s, "inaudible", reason="sound_without_words")


def transcript(*segments: Segment, **changes: Any) -> Transcript:
    good = Transcript(
        "k", segments[-1].end_s if segments else 0.0, "en", 0.95, segments, Engine("e", "m", "0" * 64), "v"
    )
    return dataclasses.replace(good, **changes)


GOOD = transcript(quiet(0, 0, 1), segment(1, 1, 4), segment(2, 4, 7, avg_logprob=-0.2), quiet(3, 7, 9))


@pytest.mark.parametrize(
    ("changed", "passed", "severity", "why"),
    [
        (GOOD, True, "WARN", "a partition"),
        (transcript(), True, "WARN", "nothing at all"),
        (transcript(quiet(0, 0, 30)), True, "WARN", "silence is accounted for"),
        (dataclasses.replace(GOOD, duration_s=9.5), False, "ERROR", "the end is missing"),
        (transcript(segment(0, 0.1, 3)), False, "ERROR", "the beginning is missing"),
        (transcript(segment(0, 0, 3), segment(1, 3.001, 6)), False, "ERROR", "a gap of a millisecond"),
        (transcript(segment(0, 0, 3), segment(1, 2.9, 6)), False, "ERROR", "an overlap"),
        (transcript(quiet(0, 0, 4, "inaudible"), segment(1, 4, 7)), False, "WARN", "most sound was not understood"),
        (transcript(quiet(0, 0, 2, "inaudible"), segment(1, 2, 7)), True, "WARN", "some sound was not understood"),
        (transcript(segment(0, 0, 40), sounding(1, 40, 100)), True, "WARN", "music beside a diary is no speech lost"),
        (transcript(sounding(0, 0, 60), quiet(1, 60, 70)), False, "WARN", "sound is all there is, and no words"),
        (
            transcript(quiet(0, 0, 4, "inaudible"), segment(1, 4, 7), sounding(2, 7, 99)),
            False,
            "WARN",
            "music makes up for no speech",
        ),
    ],
)
def test_the_transcript_covers_the_audio(changed: Transcript, passed: bool, severity: str, why: str) -> None:
    check = transcript_covers_audio(changed)
    assert (check.name, check.passed, check.severity) == ("transcript_covers_audio", passed, severity), why


def refused(number: int, start_s: float, end_s: float) -> Segment:
    return Segment(number, start_s, end_s, "inaudible", reason="loop")


@pytest.mark.parametrize(
    ("changed", "passed", "severity", "detail"),
    [
        (GOOD, True, "WARN", "refused_share=0.00 doubted_share=0.00"),
        (transcript(quiet(0, 0, 9)), True, "WARN", "refused_share=0.00 doubted_share=0.00"),
        (transcript(segment(0, 0, 3, risks=("clipped",))), True, "WARN", "refused_share=0.00 doubted_share=0.00"),
        (
            transcript(segment(0, 0, 7), Segment(1, 7, 9, "inaudible", reason="nothing_heard")),
            True,
            "WARN",
            "refused_share=0.00 doubted_share=0.00",
        ),
        (transcript(segment(0, 0, 40), sounding(1, 40, 100)), True, "WARN", "refused_share=0.00 doubted_share=0.00"),
        (transcript(sounding(0, 0, 60)), True, "WARN", "refused_share=0.00 doubted_share=0.00"),
        (
            transcript(refused(0, 0, 10), sounding(1, 10, 300)),
            False,
            "ERROR",
            "refused_share=1.00 doubted_share=0.00 loop=1",
        ),
        (
            transcript(segment(0, 0, 6), segment(1, 6, 8, risks=("too_fast",))),
            False,
            "WARN",
            "refused_share=0.00 doubted_share=0.25 too_fast=1",
        ),
        (
            transcript(segment(0, 0, 6), refused(1, 6, 8), quiet(2, 8, 99)),
            False,
            "WARN",
            "refused_share=0.25 doubted_share=0.00 loop=1",
        ),
        (
            transcript(segment(0, 0, 4), refused(1, 4, 8), segment(2, 8, 9, risks=("too_fast",))),
            False,
            "ERROR",
            "refused_share=0.44 doubted_share=0.11 loop=1 too_fast=1",
        ),
    ],
)
def test_what_was_refused_or_kept_with_doubts_is_told(
    changed: Transcript, passed: bool, severity: str, detail: str
) -> None:
    check = transcript_is_plausible(changed)
    assert (check.passed, check.severity, check.detail) == (passed, severity, detail)


@pytest.mark.parametrize(
    ("language", "probability", "passed"),
    [
        ("en", 0.7, True),
        ("en", 1.0, True),
        ("ja", 0.63, False),
        (None, 0.0, True),
        ("en", None, True),
        (None, None, False),
    ],
)
def test_an_uncertain_language_warns(language: str | None, probability: float | None, passed: bool) -> None:
    check = language_is_certain(dataclasses.replace(GOOD, language=language, language_probability=probability))
    assert (check.passed, check.severity) == (passed, "WARN")


@pytest.mark.parametrize(("damaged", "passed"), [(0, True), (1, False)])
def test_damaged_packets_are_told(damaged: int, passed: bool) -> None:
    check = audio_is_complete(10.0, None, damaged)
    assert (check.name, check.passed, check.severity) == ("audio_is_complete", passed, "WARN")


def test_details_hold_numbers_and_codes_and_never_what_was_said() -> None:
    risky = transcript(segment(0, 0, 3, risks=("avg_logprob",)))
    for check in (transcript_covers_audio(risky), transcript_is_plausible(risky), language_is_certain(risky)):
        assert "=" in check.detail
        assert not set(check.detail.lower().split()) & set(SENTENCE.lower().split())
