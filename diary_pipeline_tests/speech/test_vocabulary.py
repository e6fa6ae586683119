"""Real weights spell a name as they were told, each recording with the hints of its own."""

import pytest

from diary_pipeline.audio.decode import decode
from diary_pipeline.notes.language.given_names import GIVEN_NAMES
from diary_pipeline.transcription.transcriber import Heard, Hints, ToHear, hear
from diary_pipeline_tests.recordings.faulty import DEMO
from diary_pipeline_tests.weights import real_transcriber

pytestmark = pytest.mark.speech
TAP, BUDGET = DEMO / "20260303_201500.mp3", DEMO / "memo_2026-03-10_18-30.ogg"
"""In one speaks a neighbour called Martha, in the other a Helen; both spellings are the usual ones."""


def text(found: Heard | Exception) -> str:
    assert isinstance(found, Heard)
    return " ".join(s.text for s in found.segments if s.text)


@pytest.mark.slow
def test_recordings_heard_together_keep_their_own_vocabularies() -> None:
    asked = [
        ToHear("tap", lambda: decode(TAP), Hints(vocabulary=("Marta",))),
        ToHear("budget", lambda: decode(BUDGET), Hints(vocabulary=("Hellen", "Zillertal"))),
        ToHear("plain", lambda: decode(BUDGET), Hints()),
    ]
    said = {key: text(found) for key, found in real_transcriber("tiny.en").transcribe(asked)}
    assert "Marta across the street" in said["tap"]
    assert "Hellen asked hard questions" in said["budget"]
    assert "Helen asked hard questions" in said["plain"]
    assert "Zillertal" not in " ".join(said.values()), "a hint that nobody says is not heard"


def test_more_hints_than_a_model_reads_do_no_harm_and_the_first_count() -> None:
    others = sorted(GIVEN_NAMES - {"martha", "marta"})
    many = ("Marta", *(name.capitalize() for name in others))
    assert len(many) > 300  # some 970 tokens; Whisper's window has 448 for hints and answer together
    assert "Marta across the street" in text(hear(real_transcriber("tiny.en"), decode(TAP), Hints(vocabulary=many)))
