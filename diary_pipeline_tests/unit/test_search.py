"""What a search finds, in which order, and which passage it shows with which second."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from diary_pipeline.catalogue.publisher import Publisher
from diary_pipeline.catalogue.search import search
from diary_pipeline.catalogue.search_hits import CLOSE, OPEN, SNIPPET_WORDS
from diary_pipeline.catalogue.search_index import SearchIndex, reading
from diary_pipeline.catalogue.search_ranking import ANY, Filters, by_words
from diary_pipeline.catalogue.search_words import read_words
from diary_pipeline.core.note import NoteItem
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline_tests.diaries import Diary

SPOKEN = {
    "garden.m4a": (["I planted onions with Gwen.", "Then it hailed.", "We drank tea in her shed."], {}),
    "canal.m4a": (
        ["I walked along the old", "canal with Tom and thought about the garden.", "The onions are for Gwen."],
        {"title": "Along the canal", "summary": "A long walk."},
    ),
    "brot.m4a": (["Ich habe Brot gebacken.", "Danach ein Spaziergang durch die Gärten."], {"language": "de"}),
    "annas.m4a": (["I planted tulips."], {}),
    "silent.m4a": (
        ["Nothing was written about the tulips yet.", "My walks.", f"{'before ' * 40}heron{' after' * 40}"],
        None,
    ),
}


@dataclass
class Shelf:
    """A published diary with its search file."""

    index: SearchIndex
    live: Path
    names: dict[str, str]

    def find(self, typed: str, filters: Filters = ANY, limit: int = 20) -> list[str]:
        """Return the files that are found, best first."""
        found = search(self.index.path, self.live, typed, filters, limit=limit)
        return [self.names[hit.recording_key] for hit in found.hits]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    """Five recordings of two people, in two languages, on five days; the last has no note."""
    home = tmp_path_factory.mktemp("search")
    ledger = open_ledger(f"sqlite:///{home / 'ledger.db'}")
    diary = Diary(ledger, FolderStore(home / "objects"))
    names = {}
    for number, (name, (said, changes)) in enumerate(SPOKEN.items()):
        owner = "anna" if name.startswith("anna") else "me"
        [recording] = diary.accept(name, owner=owner)
        names[recording.key] = name
        diary.transcribe([recording], said=said)
        if changes is not None:
            day = dt.date(2026, 3, 1) + dt.timedelta(days=number)
            told = [NoteItem(0, "person", "Gwen Hughes", 0, 0.0, 1.0, said[0][:5])] if "Gwen" in said[0] else []
            told += [NoteItem(1, "topic", "allotment", 0, 0.0, 1.0, said[0][:5])] if "Gwen" in said[0] else []
            told += [NoteItem(2, "event", said[0], 0, 0.0, 1.0, said[0])]
            diary.write([recording], said=said, **{"note_date": day, "items": tuple(told), **changes})
    index = SearchIndex(home / "search.sqlite")
    publisher = Publisher(ledger, diary.store, home / "catalogue.duckdb", followers=[index])
    publisher.publish()
    yield Shelf(index, publisher.live, names)
    ledger.close()


@pytest.mark.parametrize(
    ("typed", "files"),
    [
        ("onions", ["garden.m4a", "canal.m4a"]),
        ("onions canal", ["canal.m4a"]),
        ("onions -canal", ["garden.m4a"]),
        ("hailed OR brot", ["garden.m4a", "brot.m4a"]),
        ('"old canal"', ["canal.m4a"]),
        ('"canal old"', []),
        ("gart*", ["brot.m4a"]),
        ("brot.m4a", ["brot.m4a"]),
        ("tulips", ["annas.m4a", "silent.m4a"]),
        ("zebra", []),
        ("", []),
        ("\N{GRINNING FACE}", []),
    ],
)
def test_words_find_recordings(shelf: Shelf, typed: str, files: list[str]) -> None:
    assert sorted(shelf.find(typed)) == sorted(files)


@pytest.mark.parametrize(
    ("typed", "filters", "files"),
    [
        ("planted", Filters(user_id="anna"), ["annas.m4a"]),
        ("planted", Filters(user_id="nobody"), []),
        ("onions", Filters(until="2026-03-01"), ["garden.m4a"]),
        ("onions", Filters(since="2026-03-02"), ["canal.m4a"]),
        ("onions", Filters(since="2026-03-01", until="2026-03-02"), ["garden.m4a", "canal.m4a"]),
        ("onions", Filters(person="gwen"), ["garden.m4a"]),
        ("", Filters(person="Gwen Hughes"), ["garden.m4a"]),
        ("tea", Filters(topic="Allotment"), ["garden.m4a"]),
        ("tea", Filters(topic="tea"), []),
        ("spaziergang", Filters(language="de"), ["brot.m4a"]),
        ("onions", Filters(language="de"), []),
    ],
)
def test_filters_leave_the_rest_out(shelf: Shelf, typed: str, filters: Filters, files: list[str]) -> None:
    assert sorted(shelf.find(typed, filters)) == sorted(files)


def test_a_title_counts_more_than_a_word_in_passing(shelf: Shelf) -> None:
    assert shelf.find("canal OR garden")[0] == "canal.m4a"


def test_a_hit_shows_the_passage_with_its_second_and_marks_the_words(shelf: Shelf) -> None:
    [hit] = search(shelf.index.path, shelf.live, "tea shed").hits
    assert hit.snippet == f"We drank {OPEN}tea{CLOSE} in her {OPEN}shed{CLOSE}."
    assert (hit.kind, hit.segment_id, hit.day, hit.user_id) == ("segment", 4, "2026-03-01", "me")
    assert hit.start_s is not None and hit.end_s is not None and 2.0 < hit.start_s < hit.end_s


def test_a_phrase_over_the_end_of_a_segment_is_found_at_its_beginning(shelf: Shelf) -> None:
    [hit] = search(shelf.index.path, shelf.live, '"old canal"').hits
    assert (hit.segment_id, hit.snippet) == (0, f"I walked along the {OPEN}old{CLOSE}")


def test_what_stands_in_the_note_alone_has_no_second(shelf: Shelf) -> None:
    [hit] = search(shelf.index.path, shelf.live, '"long walk"').hits
    assert (hit.kind, hit.start_s, hit.segment_id) == ("note", None, None)


def test_a_recording_without_a_note_has_the_day_it_was_spoken(shelf: Shelf) -> None:
    [hit] = search(shelf.index.path, shelf.live, "tulips yet").hits
    assert (hit.title, hit.day) == ("", "2026-03-07")


def test_other_forms_of_a_word_follow_the_word_itself(shelf: Shelf) -> None:
    hits = search(shelf.index.path, shelf.live, "planting").hits
    assert sorted(shelf.names[hit.recording_key] for hit in hits) == ["annas.m4a", "garden.m4a"]
    assert all(hit.is_near for hit in hits)
    hits = search(shelf.index.path, shelf.live, "walk").hits
    assert [(shelf.names[hit.recording_key], hit.is_near) for hit in hits] == [
        ("canal.m4a", False),
        ("silent.m4a", True),
    ]
    assert shelf.find("walk", limit=1) == ["canal.m4a"]


def test_of_words_that_stand_everywhere_only_the_latest_are_ranked(shelf: Shelf) -> None:
    index = reading(shelf.index.path)
    ranked, is_cut = by_words(index, read_words("i OR ich OR nothing"), ANY, 20, most=2)
    assert (len(ranked), is_cut) == (2, True)
    ranked, is_cut = by_words(index, read_words("i OR ich OR nothing"), Filters(user_id="anna"), 20, most=2)
    assert (len(ranked), is_cut) == (1, False)
    index.close()


def test_no_more_than_wanted_is_given(shelf: Shelf) -> None:
    assert len(shelf.find("planted", limit=1)) == 1


def test_a_long_line_is_shown_around_what_was_found(shelf: Shelf) -> None:
    [hit] = search(shelf.index.path, shelf.live, "heron").hits
    words = hit.snippet.split()
    assert (words[0], words[-1]) == ("…", "…")
    assert words.index(f"{OPEN}heron{CLOSE}") == 1 + words.count("before")
    assert len(words) == SNIPPET_WORDS + 2
