"""Which files of a folder are taken, and under which name they are known."""

import os
from pathlib import Path

import pytest

from diary_pipeline.core.errors import UsageError
from diary_pipeline.intake.names import path_of, shown_name, uri_of
from diary_pipeline.intake.sources import WatchedFolder, looks_like_media, scan

NOW = 1_800_000_000.0
ODD_NAMES = (
    "a, b [c] \"d\" 'e' #f %20.wav",
    "walk 🚶‍♀️.m4a",
    "two\nlines.mp3",
    os.fsdecode(b"latin-\xe9.wav"),
    "?query=1&x;y.ogg",
    "日記",
)


def put(path: Path, age_s: float = 60.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    os.utime(path, (NOW - age_s, NOW - age_s))
    return path


def names(folder: WatchedFolder, settle_s: float = 2.0, now: float = NOW, exclude: tuple[Path, ...] = ()) -> list[str]:
    found = scan(folder, settle_s, now, exclude)
    return [f.path.relative_to(Path(os.path.realpath(folder.path))).as_posix() for f in found]


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("memo.wav", True),
        ("MEMO.M4A", True),
        ("memo", True),
        ("2026.05.01 21.30", True),
        ("Talk with Dr. Smith", True),
        ("video.mp4", True),
        ("README.txt", False),
        ("memo.wav.json", False),
        ("memo.wav.part", False),
        ("memo.crdownload", False),
        ("cover.jpg", False),
    ],
)
def test_a_watched_folder_gives_what_is_called_like_a_recording(name: str, taken: bool) -> None:
    assert looks_like_media(name) is taken


def test_subfolders_are_searched_and_hidden_things_are_not(tmp_path: Path) -> None:
    for name in ("b.wav", "a.wav", "sub/deep/c.wav", ".hidden.wav", ".trash/d.wav", "sub/._e.wav"):
        put(tmp_path / name)
    assert names(WatchedFolder(tmp_path)) == ["a.wav", "b.wav", "sub/deep/c.wav"]


def test_a_file_still_being_written_is_not_taken_and_then_is(tmp_path: Path) -> None:
    put(tmp_path / "growing.wav", age_s=0.5)
    assert names(WatchedFolder(tmp_path)) == []
    assert names(WatchedFolder(tmp_path), now=NOW + 2) == ["growing.wav"]


def test_a_time_far_in_the_future_does_not_hide_a_file_for_ever(tmp_path: Path) -> None:
    put(tmp_path / "clock-was-wrong.wav", age_s=-86_400)
    put(tmp_path / "clock-a-little-ahead.wav", age_s=-1)
    assert names(WatchedFolder(tmp_path)) == ["clock-was-wrong.wav"]


@pytest.mark.parametrize(
    ("ignore", "left"),
    [
        ((), ["a.wav", "old/b.wav", "old/x/c.wav"]),
        (("a.*",), ["old/b.wav", "old/x/c.wav"]),
        (("old",), ["a.wav"]),
        (("old/",), ["a.wav"]),
        (("old/x",), ["a.wav", "old/b.wav"]),
        (("*.wav",), []),
    ],
)
def test_ignored_patterns_match_names_paths_and_folders(
    tmp_path: Path, ignore: tuple[str, ...], left: list[str]
) -> None:
    for name in ("a.wav", "old/b.wav", "old/x/c.wav"):
        put(tmp_path / name)
    assert names(WatchedFolder(tmp_path, ignore=ignore)) == left


def test_files_older_than_the_folder_allows_are_left_alone(tmp_path: Path) -> None:
    put(tmp_path / "yesterday.wav", age_s=86_400 * 1.5)
    put(tmp_path / "last year.wav", age_s=86_400 * 400)
    assert names(WatchedFolder(tmp_path, not_older_than_days=30)) == ["yesterday.wav"]


def test_links_in_a_circle_end_and_no_folder_is_entered_twice(tmp_path: Path) -> None:
    put(tmp_path / "sub/a.wav")
    (tmp_path / "sub/up").symlink_to(tmp_path)
    (tmp_path / "again").symlink_to(tmp_path / "sub")
    (tmp_path / "gone.wav").symlink_to(tmp_path / "nothing.wav")
    (tmp_path / "self").symlink_to(tmp_path / "self")
    assert len(names(WatchedFolder(tmp_path))) == 1


def test_nothing_inside_our_own_folders_is_a_recording(tmp_path: Path) -> None:
    put(tmp_path / "mine.wav")
    put(tmp_path / "home/.diary-home")
    put(tmp_path / "home/objects/audio/00ff")
    put(tmp_path / "exports/2026/a.wav")
    assert names(WatchedFolder(tmp_path), exclude=(tmp_path / "exports",)) == ["mine.wav"]
    assert names(WatchedFolder(tmp_path / "exports/2026"), exclude=(tmp_path / "exports",)) == []
    assert names(WatchedFolder(tmp_path / "home")) == []


def test_a_drop_folder_inside_our_home_is_watched_because_somebody_chose_it(tmp_path: Path) -> None:
    put(tmp_path / ".diary-home")
    put(tmp_path / "drop/a.wav")
    assert names(WatchedFolder(tmp_path / "drop")) == ["a.wav"]


def test_a_folder_that_is_not_there_gives_nothing(tmp_path: Path) -> None:
    assert names(WatchedFolder(tmp_path / "unmounted")) == []


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    assert names(WatchedFolder(tmp_path)) == []


@pytest.mark.parametrize("name", ODD_NAMES)
def test_an_odd_name_comes_back_from_its_url_byte_for_byte(tmp_path: Path, name: str) -> None:
    put(tmp_path / name)
    (found,) = scan(WatchedFolder(tmp_path), 2, NOW)
    uri = uri_of(found.path)
    assert uri == found.path.as_uri()
    assert uri.isascii()
    assert os.fsencode(path_of(uri)) == os.fsencode(found.path)
    shown_name(found.path).encode()  # any database takes it


@pytest.mark.parametrize("written", ["sub/../a.wav", "./a.wav", "link/a.wav"])
def test_a_file_has_one_url_however_its_path_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    put(tmp_path / "a.wav")
    (tmp_path / "sub").mkdir()
    (tmp_path / "link").symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert uri_of(path_of(written)) == uri_of(tmp_path / "a.wav")


def test_a_file_url_may_name_this_machine_and_hold_unescaped_signs() -> None:
    assert path_of("file:///a/b%20c.wav") == Path("/a/b c.wav")
    assert path_of("file://localhost/a.wav") == Path("/a.wav")
    assert path_of("file:///a#b?c.wav") == Path("/a#b?c.wav")


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("https://example.org/a.mp3", "scheme_not_supported"),
        ("gs://bucket/a.mp3", "scheme_not_supported"),
        ("file://server/share/a.mp3", "scheme_not_supported"),
        ("file:///a%00.mp3", "path_invalid"),
        ("", "path_invalid"),
    ],
)
def test_a_place_that_is_no_local_file_is_refused_with_what_to_do(place: str, code: str) -> None:
    with pytest.raises(UsageError) as refused:
        path_of(place)
    assert refused.value.code == code
