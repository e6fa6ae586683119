"""The bytes of an erased recording are found wherever in a file they lie, and whatever lies beside them."""

from pathlib import Path

import pytest

from diary_pipeline.defs.wipe.databases import PIECE_BYTES, holds

KEY, ID = b"2026-03-02-walk-0123456789ab", b"0123456789abcdef0123456789abcdef"
HEXED = b"2026-03-02-0123456789ab-walk-0123456789ab"
WORDS = frozenset(word.decode() for word in (KEY, ID, HEXED))


@pytest.mark.parametrize("word", [KEY, ID, HEXED])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b""),
        (b"walk", b"raw_audio"),
        (b"abc", b"def"),
        (b"9" * 40, b"0" * 40),
        (b"2026-03-01-other-", b"-ab"),
        (b"\0" * (PIECE_BYTES - 7), b"\0"),
        (b"\0" * (PIECE_BYTES - 1), b"\0" * PIECE_BYTES),
    ],
)
def test_a_subject_is_found_whatever_lies_beside_it(tmp_path: Path, word: bytes, before: bytes, after: bytes) -> None:
    file = tmp_path / "index.db"
    file.write_bytes(before + word + after)
    assert holds(file, WORDS)
    file.write_bytes(before + word[1:] + after)
    assert not holds(file, {word.decode()})


def test_a_file_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert not holds(tmp_path / "index.db", WORDS)
    (tmp_path / "index.db").write_bytes(KEY)
    assert not holds(tmp_path / "index.db", ())
