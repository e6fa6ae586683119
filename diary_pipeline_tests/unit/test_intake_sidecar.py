"""What stands beside a recording, and what a submitter may ask for."""

import datetime as dt
from pathlib import Path

import pytest

from diary_pipeline.core.errors import UsageError
from diary_pipeline.intake.options import Options, instant
from diary_pipeline.intake.sidecar import Sidecar, is_sidecar, read_sidecar


def written(folder: Path, text: str | bytes) -> Path:
    audio = folder / "walk.wav"
    audio.write_bytes(b"x")
    (folder / "walk.wav.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    return audio


def test_a_sidecar_says_when_it_was_recorded_its_title_tags_and_vocabulary(tmp_path: Path) -> None:
    audio = written(
        tmp_path,
        '{"recorded_at": "2026-05-01T21:30:00+02:00", "title": " A\\nwalk ", "tags": ["a", "b", "a"], '
        '"vocabulary": ["Mika", "ComfyUI"], "x": {}}',
    )
    assert read_sidecar(audio) == Sidecar("2026-05-01T21:30:00+02:00", "A walk", ("a", "b"), ("Mika", "ComfyUI"))
    assert is_sidecar(tmp_path / "walk.wav.json")
    assert not is_sidecar(audio)
    assert not is_sidecar(tmp_path / "alone.json")


def test_no_sidecar_says_nothing(tmp_path: Path) -> None:
    assert read_sidecar(tmp_path / "walk.wav") == Sidecar()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", "sidecar_unreadable"),
        (b"\xff\xfe\x00", "sidecar_unreadable"),
        ("[" * 50_000, "sidecar_unreadable"),
        ("[]", "sidecar_invalid"),
        ('{"recorded_at": "yesterday"}', "sidecar_invalid"),
        ('{"recorded_at": 5}', "sidecar_invalid"),
        ('{"recorded_at": "0001-01-01T00:00:00+14:00"}', "sidecar_invalid"),
        ('{"title": ["x"]}', "sidecar_invalid"),
        ('{"title": "\\ud83d"}', "sidecar_invalid"),
        ('{"tags": "x"}', "sidecar_invalid"),
        ('{"tags": [1]}', "sidecar_invalid"),
        ('{"vocabulary": {"Mika": 1, "x": ["y"]}, "tags": 5}', "sidecar_invalid"),
        ('{"vocabulary": 7}', "sidecar_invalid"),
        ('{"title": "' + "x" * 201 + '"}', "sidecar_invalid"),
        ('{"x": "' + "x" * 70_000 + '"}', "sidecar_too_large"),
    ],
)
def test_a_broken_sidecar_is_left_out_as_a_whole_with_a_code(tmp_path: Path, text: str | bytes, code: str) -> None:
    assert read_sidecar(written(tmp_path, text)) == Sidecar(code=code)


def test_what_the_submitter_says_wins_over_the_sidecar_and_lists_add_up() -> None:
    beside = Sidecar("2026-05-01T21:30", "Beside", ("a", "b"), ("Mika",))
    assert beside.under(Options(title="Said", tags=("b", "c"), vocabulary=("ComfyUI",))) == Options(
        recorded_at="2026-05-01T21:30", title="Said", tags=("b", "c", "a"), vocabulary=("ComfyUI", "Mika")
    )


@pytest.mark.parametrize(
    ("said", "terms"),
    [
        (None, ()),
        ("", ()),
        ("ComfyUI", ("ComfyUI",)),
        ("ComfyUI, Anna Weber ,ComfyUI,", ("ComfyUI", "Anna Weber")),
        (["ComfyUI, Anna", "Mika\n Zimmer"], ("ComfyUI", "Anna", "Mika Zimmer")),
        (["日本", " "], ("日本",)),
    ],
)
def test_a_vocabulary_is_a_list_or_has_commas(said: object, terms: tuple[str, ...]) -> None:
    assert Options.read({"vocabulary": said}).vocabulary == terms


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"model": "x"}, "option_unknown"),
        ({"language": "english"}, "option_invalid"),
        ({"language": 5}, "option_invalid"),
        ({"recorded_at": "soon"}, "recorded_at_invalid"),
        ({"tags": ["x"] * 3 + [f"t{n}" for n in range(50)]}, "option_invalid"),
        ({"tags": ["x" * 65]}, "option_invalid"),
        ({"vocabulary": 5}, "option_invalid"),
        ({"vocabulary": [5]}, "option_invalid"),
        ({"vocabulary": "x" * 65}, "option_invalid"),
        ({"vocabulary": [f"t{n}" for n in range(101)]}, "option_invalid"),
    ],
)
def test_an_option_that_cannot_be_is_refused_at_the_door(said: dict[str, object], code: str) -> None:
    with pytest.raises(UsageError) as refused:
        Options.read(said)
    assert refused.value.code == code


def test_options_come_back_from_json_and_empty_ones_are_not_kept() -> None:
    said = {"whisper_model": None, "language": "DE", "recorded_at": "2026-05-01", "title": "", "tags": []}
    assert Options.read(said).as_json() == {"language": "de", "recorded_at": "2026-05-01"}
    more = {"tags": ["walk"], "vocabulary": ["Mika"]}
    assert Options.read(more).as_json() == more
    assert Options.read(Options.read(said).as_json()) == Options.read(said)


def test_a_time_without_offset_is_the_owners() -> None:
    assert instant("2026-05-01T21:30", "Asia/Tokyo") == dt.datetime(2026, 5, 1, 12, 30, tzinfo=dt.UTC)
    assert instant("2026-05-01T21:30Z", "Asia/Tokyo") == dt.datetime(2026, 5, 1, 21, 30, tzinfo=dt.UTC)
