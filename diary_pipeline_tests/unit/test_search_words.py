"""Whatever is typed becomes a question that SQLite understands, and means what people expect of a search box."""

import contextlib
import sqlite3
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diary_pipeline.catalogue.search_documents import FIELDS
from diary_pipeline.catalogue.search_words import MOST_TERMS, Term, Words, all_of, in_field, read_words

BREAD, RIVER, WINE = Term("bread"), Term("river"), Term("wine")


@pytest.fixture(scope="module")
def index() -> Iterator[sqlite3.Connection]:
    """An index with two documents."""
    with contextlib.closing(sqlite3.connect(":memory:", check_same_thread=False)) as db:
        tokens = "unicode61 remove_diacritics 2"
        db.execute(f"CREATE VIRTUAL TABLE words USING fts5({', '.join(FIELDS)}, tokenize = '{tokens}')")
        said = ("I walked by the river\nand don't like e-mail", "Spaziergänge, Brot; C++ in 2026. ½ Äpfel")
        db.executemany("INSERT INTO words(title, people, said) VALUES ('', 'Anna', ?)", [(text,) for text in said])
        yield db


def found(index: sqlite3.Connection, expression: str) -> list[int]:
    return [row[0] for row in index.execute("SELECT rowid FROM words WHERE words MATCH ?", [expression])]


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("bread", Words(((BREAD,),))),
        ("bread river", Words(((BREAD,), (RIVER,)))),
        ("bread AND river", Words(((BREAD,), (RIVER,)))),
        ("bread OR wine river", Words(((BREAD, WINE), (RIVER,)))),
        ("bread -river", Words(((BREAD,),), (RIVER,))),
        ("bread NOT river", Words(((BREAD,),), (RIVER,))),
        ("bread \N{MINUS SIGN}river", Words(((BREAD,),), (RIVER,))),
        ('"by the river"', Words(((Term("by the river"),),))),
        ('-"by the river" bread', Words(((BREAD,),), (Term("by the river"),))),
        ("„bought bread“ «wine»", Words(((Term("bought bread"),), (WINE,)))),
        ('"never closed', Words(((Term("never closed"),),))),
        ("brea*", Words(((Term("brea", is_beginning=True),),))),
        ('"by the ri"*', Words(((Term("by the ri", is_beginning=True),),))),
        ("e-mail", Words(((Term("e mail"),),))),
        ("don't", Words(((Term("don t"),),))),
        ("-river", Words((), (RIVER,))),
        ("OR", Words(())),
        ("OR bread", Words(((BREAD,),))),
        ("bread or", Words(((BREAD,), (Term("or"),)))),
        ("", Words(())),
        ("\N{GRINNING FACE} * - ( ) : ^ \"\" ''", Words(())),
        ("bread \N{GRINNING FACE}", Words(((BREAD,),))),
        ("title:bread", Words(((Term("title bread"),),))),
        ("bread\0river", Words(((Term("bread river"),),))),
    ],
)
def test_what_is_typed_is_read_as_people_mean_it(typed: str, read: Words) -> None:
    assert read_words(typed) == read


@pytest.mark.parametrize(
    ("typed", "documents"),
    [
        ("river", [1]),
        ("RIVER Walked", [1]),
        ('"the river and"', [1]),
        ("river brot", []),
        ("river OR brot", [1, 2]),
        ("spaziergange", [2]),
        ("äpfel", [2]),
        ("apfel", [2]),
        ("c++ 2026", [2]),
        ("e-mail", [1]),
        ("don't -brot", [1]),
        ("NEAR(river walked)", []),
        ("spazier*", [2]),
        ("Anna -river", [2]),
    ],
)
def test_the_question_finds_what_was_meant(index: sqlite3.Connection, typed: str, documents: list[int]) -> None:
    assert found(index, read_words(typed).expression) == documents


def test_ten_thousand_characters_are_cut_and_not_refused(index: sqlite3.Connection) -> None:
    words = read_words(" ".join(f"w{n}" for n in range(3_000)))
    assert len(words.groups) == MOST_TERMS
    assert found(index, words.expression) == []
    assert found(index, read_words('"' + "river " * 2_000).expression) == []


@given(st.text(max_size=200) | st.text(alphabet="\"*-()^:+{}ORANDNEAR, 'aé\0", max_size=60))
def test_nothing_that_can_be_typed_is_a_syntax_error(index: sqlite3.Connection, typed: str) -> None:
    for words in (read_words(typed), read_words(typed).widened):
        if words.expression:
            found(index, all_of([words.expression, in_field("people", typed)]))


def test_a_name_must_stand_in_its_field(index: sqlite3.Connection) -> None:
    assert found(index, in_field("people", "anna")) == [1, 2]
    assert found(index, in_field("people", "river")) == []
    assert in_field("people", "***") == ""


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        *(
            pair.split()
            for pair in ("walked walking", "onions onion", "planting planted", "promises promised", "letter letters")
        ),
        *(pair.split() for pair in ("spaziergänge spaziergang", "kaufte kaufen", "freunde freundin", "blumen blume")),
        *(pair.split() for pair in ("livres livre", "amies amie", "libros libro", "mercado mercados")),
    ],
)
def test_other_forms_of_a_word_share_a_beginning(typed: str, said: str) -> None:
    [[term]] = read_words(typed).widened.groups
    assert term.is_beginning
    assert len(term.text) >= 4
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        db.execute("CREATE VIRTUAL TABLE words USING fts5(text, tokenize = 'unicode61 remove_diacritics 2')")
        db.execute("INSERT INTO words VALUES (?)", [said])
        assert found(db, read_words(typed).expression) == []
        assert found(db, term.quoted) == [1]


@pytest.mark.parametrize("typed", ["bed", '"by the river"', "brea*", "-walked"])
def test_short_words_phrases_and_what_is_left_out_are_not_widened(typed: str) -> None:
    assert read_words(typed).widened == read_words(typed)
