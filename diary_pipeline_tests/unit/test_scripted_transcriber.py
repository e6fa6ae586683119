"""The scripted double says exactly what the script says, where it is loud."""

import itertools

import numpy as np
import pytest

from diary_pipeline.transcription.heard import HeardWindow, PlacedWord
from diary_pipeline.transcription.repair.risk import risks
from diary_pipeline.transcription.scripted import ScriptedTranscriber, content_hash
from diary_pipeline.transcription.span import RATE, Span
from diary_pipeline.transcription.transcriber import Hints, hear
from diary_pipeline_tests.builders import silence, speech_like

TALK = np.concatenate([silence(2), speech_like(3), silence(4), speech_like(5, pitch_hz=200), silence(1)])
OTHER = np.concatenate([silence(1), speech_like(2)])
TEXT = "I went for a walk. The water was high."


def text_of(transcriber: ScriptedTranscriber, samples: np.ndarray) -> str:
    return " ".join(s.text for s in hear(transcriber, [samples], Hints()).segments if s.text)


def test_the_text_lies_over_the_loud_stretches() -> None:
    heard = hear(ScriptedTranscriber([TEXT]), [TALK], Hints())
    runs = [list(run) for _, run in itertools.groupby(heard.segments, lambda s: s.kind)]
    assert [(run[0].kind, round(run[-1].end_s)) for run in runs] == [
        ("silence", 2),
        ("speech", 5),
        ("silence", 9),
        ("speech", 14),
        ("silence", 15),
    ]
    assert text_of(ScriptedTranscriber([TEXT]), TALK) == TEXT


def test_texts_are_handed_out_in_order_and_the_same_samples_get_the_same_text_again() -> None:
    transcriber = ScriptedTranscriber(["First.", "Second."])
    assert [text_of(transcriber, s) for s in (TALK, OTHER, TALK, OTHER)] == ["First.", "Second.", "First.", "Second."]


def test_a_script_by_content_leaves_unknown_sound_inaudible() -> None:
    transcriber = ScriptedTranscriber({content_hash([TALK]): TEXT})
    assert text_of(transcriber, TALK) == TEXT
    heard = hear(transcriber, [OTHER], Hints())
    assert [s.kind for s in heard.segments] == ["silence", "inaudible"]
    assert heard.language is None


def test_the_content_hash_knows_no_blocks() -> None:
    assert content_hash(np.split(TALK, [5, 700, RATE])) == content_hash([TALK]) != content_hash([OTHER])


def test_another_script_is_another_engine() -> None:
    assert ScriptedTranscriber(["a"]).engine.key != ScriptedTranscriber(["b"]).engine.key
    assert ScriptedTranscriber(["a"]).engine.key == ScriptedTranscriber(["a"]).engine.key


@pytest.mark.parametrize(
    ("hints", "language"), [(Hints(), "en"), (Hints("fr"), "fr"), (Hints(None, ("de", "en")), "de")]
)
def test_the_language_is_the_forced_one_or_the_owners_first(hints: Hints, language: str) -> None:
    assert hear(ScriptedTranscriber(), [TALK], hints).language == language


def test_scripted_speech_carries_no_scores_and_so_no_risk() -> None:
    heard = hear(ScriptedTranscriber(["Hm."]), [speech_like(60)], Hints())
    (said,) = [s for s in heard.segments if s.kind == "speech"]
    at = Span(round(said.start_s * RATE), round(said.end_s * RATE))
    assert risks(HeardWindow((at,), (PlacedWord(said.text, at, None),), avg_logprob=said.avg_logprob), Hints()) == ()
