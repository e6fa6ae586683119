"""Spelling is folded, hearing is not; a reference set's faults go with their rows; totals count words and not files."""

import math
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from diary_pipeline.audio.decode import decode
from diary_pipeline.core.errors import NotFound, ServiceMissing, UsageError
from diary_pipeline.core.transcript import Engine, Segment
from diary_pipeline.transcription.evaluation.evaluation import Evaluation, evaluate
from diary_pipeline.transcription.evaluation.reference_set import read_reference_set
from diary_pipeline.transcription.evaluation.word_errors import Errors, count_errors
from diary_pipeline.transcription.scripted import ScriptedTranscriber, content_hash
from diary_pipeline.transcription.span import RATE
from diary_pipeline.transcription.transcriber import Heard, ToHear
from diary_pipeline_tests.builders import speech_like, write_audio


@pytest.mark.parametrize(
    ("said", "written", "language"),
    [
        ("Three hundred messages.", "300 messages", "en"),
        ("sixty pounds", "£60", "en"),
        ("the fifteenth of March", "The 15th of March", "en"),
        ("eleven hundred and forty", "1,140", "en"),
        ("eighty percent", "80%", "en"),
        ("I can not go", "I can't go!", "en"),
        ("her favourite colour", "her favorite color", "en"),
        ("Die Straße, nass!", "die straße nass", "de"),
        ("今日は、晴れです。", "今日は晴れです", "ja"),
    ],
)
def test_what_sounds_the_same_is_the_same(said: str, written: str, language: str) -> None:
    found = count_errors(said, written, language)
    assert (found.word_errors, found.character_errors) == (0, 0)
    assert found.words > 0


@pytest.mark.parametrize(
    ("said", "written", "language", "expected"),
    [
        ("walk by the river", "walk by the river", "en", Errors(words=4, characters=17)),
        ("walk by the river", "walk by a river", "en", Errors(1, 0, 0, 4, 3, 17)),
        ("walk by the river", "walk by river", "en", Errors(0, 1, 0, 4, 4, 17)),
        ("walk by the river", "walk by by the river", "en", Errors(0, 0, 1, 4, 3, 17)),
        ("walk by the river", "", "en", Errors(0, 4, 0, 4, 17, 17)),
        ("(laughs)", "thank you", "en", Errors(0, 0, 2, 0, 9, 0)),
        ("steaks", "stakes", "en", Errors(1, 0, 0, 1, 2, 6)),
        ("今日は", "今日が", "ja", Errors(1, 0, 0, 3, 1, 3)),
        ("हिन्दी", "हिन्दी", "hi", Errors(words=1, characters=6)),
    ],
)
def test_errors_are_counted(said: str, written: str, language: str, expected: Errors) -> None:
    assert count_errors(said, written, language) == expected


def test_rates_add_up_by_words_and_nothing_said_has_none() -> None:
    assert (Errors(1, words=10) + Errors(words=30)).wer == pytest.approx(1 / 40)
    assert math.isnan(Errors(insertions=2).wer)


def written(tmp_path: Path, text: str, encoding: str = "utf-8") -> Path:
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).write_bytes(b"sound")
    (tmp_path / "b.txt").write_text("what was said", encoding="utf-8")
    (tmp_path / "latin.txt").write_bytes("heiß".encode("latin-1"))
    (tmp_path / "set.csv").write_text(text, encoding=encoding)
    return tmp_path / "set.csv"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_reference_is_a_text_or_a_file_beside_the_set(tmp_path: Path, encoding: str) -> None:
    text = 'Reference, audio ,who\n"Well, yes.",a.wav,anna\n,,\nb.txt,b.wav\n'
    good, failed = read_reference_set(written(tmp_path, text, encoding))
    assert [(r.row, r.name, r.text) for r in good] == [(2, "a.wav", "Well, yes."), (4, "b.wav", "what was said")]
    assert good[0].audio == tmp_path / "a.wav"
    assert not failed


@pytest.mark.parametrize(
    ("row", "code", "said"),
    [
        ("gone.wav,hello", "audio_missing", "gone.wav is not there"),
        ("a.wav,gone.txt", "reference_missing", "gone.txt is not there"),
        ("a.wav,latin.txt", "reference_unreadable", "latin.txt cannot be read"),
        ("a.wav,", "reference_empty", "a.wav has an empty reference"),
        ("a.wav", "reference_empty", "a.wav has an empty reference"),
        (",hello", "manifest_row", "names no audio file"),
        ("a.wav,well, yes", "manifest_row", "1 cells too many"),
    ],
)
def test_a_row_that_is_wrong_is_named_and_the_others_go_on(tmp_path: Path, row: str, code: str, said: str) -> None:
    good, [failed] = read_reference_set(written(tmp_path, f"audio,reference\n{row}\nb.wav,b.txt\n"))
    assert [r.row for r in good] == [3]
    assert (failed.row, failed.code) == (2, code)
    assert failed.message.startswith("Row 2")
    assert said in failed.message


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "manifest_columns"),
        ("audio,text\na.wav,hello\n", "manifest_columns"),
        ("audio;reference\na.wav;hello\n", "manifest_columns"),
        ("audio,reference\n\n", "manifest_empty"),
        (f"audio,reference\na.wav,{'a' * 200_000}\n", "manifest_unreadable"),
    ],
)
def test_a_set_in_which_nothing_can_be_read_is_wrong_usage(tmp_path: Path, text: str, code: str) -> None:
    with pytest.raises(UsageError) as raised:
        read_reference_set(written(tmp_path, text))
    assert raised.value.code == code


def test_a_set_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"gone\.csv is not there"):
        read_reference_set(tmp_path / "gone.csv")


def heard(tmp_path: Path, said: dict[str, str], written_down: dict[str, str]) -> Evaluation:
    """Let an engine that writes what it is told evaluate files of two seconds; `broken` ones hold no audio."""
    script = {}
    for n, (name, text) in enumerate(written_down.items()):
        file = write_audio(tmp_path / name, speech_like(2.0, pitch_hz=110.0 + 10 * n))
        script[content_hash(decode(file))] = text
    for name in said.keys() - written_down.keys():
        (tmp_path / name).write_bytes(b"no audio at all")
    rows = "\n".join(f'{name},"{text}"' for name, text in said.items())
    (tmp_path / "set.csv").write_text(f"audio,reference\n{rows}\n", encoding="utf-8")
    references, failed = read_reference_set(tmp_path / "set.csv")
    return evaluate(ScriptedTranscriber(script), references, failed=failed)


def test_totals_count_words_and_a_recording_that_cannot_be_read_does_not_stop_the_others(tmp_path: Path) -> None:
    found = heard(
        tmp_path,
        {"one.wav": "A walk.", "broken.wav": "Lost.", "two.wav": "By the river I saw two old friends today."},
        {"one.wav": "A talk.", "two.wav": "By the river I saw 2 old friends today."},
    )
    assert [(s.row, s.name, s.errors.word_errors, s.errors.words) for s in found.scored] == [
        (2, "one.wav", 1, 2),
        (4, "two.wav", 0, 9),
    ]
    assert found.total.errors.wer == pytest.approx(1 / 11)
    assert found.total.duration_s == pytest.approx(4.0)
    [failed] = found.failed
    assert (failed.row, failed.name, failed.code) == (3, "broken.wav", "audio_unreadable")
    assert failed.message.startswith("Row 3: broken.wav is not audio")
    assert 0 < found.real_time_factor < 10
    assert found.audio_s_per_cpu_s > 0


class Doubtful:
    """An engine that believes half of what it hears."""

    engine = Engine("doubtful", "none", "0" * 64)

    def transcribe(self, recordings: Iterable[ToHear]) -> Iterator[tuple[str, Heard | Exception]]:
        """Give four seconds of each recording a fixed outcome, whatever is in it."""
        segments = (
            Segment(0, 0.0, 1.0, "silence"),
            Segment(1, 1.0, 2.0, "speech", "A walk.", risks=("low_logprob", "too_fast")),
            Segment(2, 2.0, 2.5, "speech", "A talk.", risks=("too_fast",)),
            Segment(3, 2.5, 3.0, "inaudible", reason="compression"),
            Segment(4, 3.0, 4.0, "inaudible"),
        )
        for recording in recordings:
            yield recording.key, Heard(4 * RATE, "en", 1.0, segments)


def test_what_was_inaudible_or_flagged_is_counted_with_its_reasons(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.wav", np.zeros(RATE, np.float32))
    (tmp_path / "set.csv").write_text("audio,reference\na.wav,a walk a talk\na.wav,a walk a talk\n", encoding="utf-8")
    found = evaluate(Doubtful(), read_reference_set(tmp_path / "set.csv")[0])
    one, total = found.scored[0], found.total
    assert (one.speech_s, one.inaudible_s, one.inaudible_share) == (1.5, 1.5, 0.5)
    assert one.risks == {"low_logprob": 1, "too_fast": 2}
    assert one.refused == {"compression": 1, "unknown": 1}
    assert (total.inaudible_share, total.risks, total.refused) == (
        0.5,
        {"low_logprob": 2, "too_fast": 4},
        {"compression": 2, "unknown": 2},
    )
    assert one.errors.wer == 0, "what is inaudible writes no words"


def test_a_set_without_a_usable_row_has_no_rates(tmp_path: Path) -> None:
    found = heard(tmp_path, {"broken.wav": "Lost."}, {})
    assert not found.scored
    assert math.isnan(found.total.errors.wer)
    assert math.isnan(found.real_time_factor)


def test_a_language_that_the_model_does_not_know_stops_at_once(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.wav", speech_like(1.0))
    (tmp_path / "set.csv").write_text("audio,reference\na.wav,hallo\n", encoding="utf-8")
    references, _ = read_reference_set(tmp_path / "set.csv")
    with pytest.raises(UsageError, match="not de"):
        evaluate(ScriptedTranscriber(languages=("en",)), references, language="de")


def test_the_missing_extra_is_a_sentence_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "whisper_normalizer.basic", None)
    with pytest.raises(ServiceMissing, match=r"needs whisper_normalizer, .* `pip install 'diary-pipeline\[eval\]'`"):
        count_errors("kävely", "kävely", "fi")
