"""What means the same is found too, and no diary that stays at home is sent anywhere."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from diary_pipeline.catalogue.publisher import Publisher
from diary_pipeline.catalogue.search import search
from diary_pipeline.catalogue.search_index import SearchIndex, reading
from diary_pipeline.catalogue.search_meaning import PASSAGE_WORDS, Passage, Vectors, embed_waiting, passages
from diary_pipeline.catalogue.search_ranking import ANY, Filters
from diary_pipeline.cli.embedding import Embedding
from diary_pipeline.core.recording import Recording
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.settings import load_settings
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline.wiring.deployment import Wiring
from diary_pipeline_tests.diaries import Diary

MEANINGS = ({"river", "canal", "stream", "water"}, {"bread", "bakery", "loaf"}, {"sad", "lonely", "alone"})


class KnowingEmbedder:
    """An embedder that knows three meanings, and keeps what it was asked."""

    least_similarity = 0.5

    def __init__(self, made_with: str = "knowing/1", *, is_remote: bool = False) -> None:
        self.made_with = made_with
        self.is_remote = is_remote
        self.asked: list[str] = []
        self.meanwhile: Callable[[], object] = lambda: None

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Give a direction to each meaning, and one to everything else."""
        self.asked += texts
        self.meanwhile()
        words = [set(text.lower().replace(".", " ").split()) for text in texts]
        counts = np.array([[len(said & meaning) for meaning in MEANINGS] + [0.1] for said in words], np.float32)
        scaled: Vectors = counts / np.linalg.norm(counts, axis=1, keepdims=True)
        return scaled


@pytest.fixture
def ledger_url(tmp_path: Path) -> str:
    """A SQLite file: nothing here sees which ledger is behind the published file."""
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture
def diary(ledger: Ledger, tmp_path: Path) -> Diary:
    """A diary nobody has begun yet."""
    return Diary(ledger, FolderStore(tmp_path / "objects"))


@pytest.fixture
def index(tmp_path: Path) -> SearchIndex:
    """Its search file."""
    return SearchIndex(tmp_path / "home" / "search.sqlite")


@pytest.fixture
def publisher(diary: Diary, index: SearchIndex, tmp_path: Path) -> Publisher:
    """Its publisher, which leads the search file."""
    return Publisher(diary.ledger, diary.store, tmp_path / "home" / "catalogue.duckdb", followers=[index])


def nobody(_owner: str) -> bool:
    return False


def spoken(diary: Diary, name: str, *said: str, owner: str = "me") -> Recording:
    """Take in a recording and its transcript."""
    [recording] = diary.accept(name, owner=owner)
    diary.transcribe([recording], said=said)
    return recording


def embedded(index: SearchIndex) -> dict[str, int]:
    """Return how many vectors each owner has."""
    db = reading(index.path)
    told = dict(
        db.execute("SELECT user_id, count(*) FROM vectors JOIN documents ON documents.id = document GROUP BY user_id")
    )
    db.close()
    return told


@pytest.mark.parametrize(
    ("title", "summary", "said", "cut"),
    [
        ("", "", "", []),
        ("A walk", "By the river.", "", [Passage("summary", 0, "A walk. By the river")]),
        ("A walk", "", "one\ntwo", [Passage("summary", 0, "A walk"), Passage("said", 0, "one two")]),
        (
            "",
            "",
            "\n".join(["word " * (PASSAGE_WORDS // 2)] * 3),
            [
                Passage("said", 0, " ".join(["word"] * PASSAGE_WORDS)),
                Passage("said", 2, " ".join(["word"] * (PASSAGE_WORDS // 2))),
            ],
        ),
        (
            "",
            "",
            "a\n" + "word " * 2 * PASSAGE_WORDS,
            [Passage("said", 0, "a"), Passage("said", 1, " ".join(["word"] * 2 * PASSAGE_WORDS))],
        ),
    ],
)
def test_a_document_is_cut_at_the_ends_of_lines(title: str, summary: str, said: str, cut: list[Passage]) -> None:
    assert list(passages(title, summary, said)) == cut


def test_what_means_the_same_is_found_with_its_second(diary: Diary, publisher: Publisher, index: SearchIndex) -> None:
    walk = spoken(diary, "walk.m4a", *["Nothing happened."] * 40, "I sat by the canal.")
    spoken(diary, "shop.m4a", "We bought a loaf.")
    publisher.publish()
    embedder = KnowingEmbedder()
    assert embed_waiting(index, embedder, nobody) == 0
    [hit] = search(index.path, publisher.live, "stream", embedder=embedder).hits
    assert (hit.recording_key, hit.is_by_meaning, hit.kind) == (walk.key, True, "segment")
    assert "canal" in hit.snippet and hit.start_s
    assert search(index.path, publisher.live, "stream").hits == ()


def test_what_has_the_words_and_the_meaning_comes_first(diary: Diary, publisher: Publisher, index: SearchIndex) -> None:
    keys = {
        spoken(diary, name, *said).key: name
        for name, said in (
            ("words", ["A river of people and much noise and very many things and alone alone alone alone."]),
            ("both", ["The river was high."]),
            ("meaning", ["We sat by the canal."]),
            ("neither", ["We bought a loaf."]),
        )
    }
    publisher.publish()
    embedder = KnowingEmbedder()
    embed_waiting(index, embedder, nobody)
    hits = search(index.path, publisher.live, "river", embedder=embedder).hits
    assert keys[hits[0].recording_key] == "both"
    assert {keys[hit.recording_key] for hit in hits} == {"words", "both", "meaning"}


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        (("stream", ANY), 2),
        (("stream", Filters(user_id="anna")), 1),
        (("stream", Filters(since="2030-01-01")), 0),
        (("stream -herons", ANY), 1),
        (("stream", Filters(person="Gwen")), 0),
        (("-herons", ANY), 0),
    ],
)
def test_filters_hold_for_meaning_too(
    diary: Diary, publisher: Publisher, index: SearchIndex, asked: tuple[str, Filters], count: int
) -> None:
    spoken(diary, "walk.m4a", "I sat by the canal with herons.")
    spoken(diary, "hers.m4a", "The river was high.", owner="anna")
    publisher.publish()
    embedder = KnowingEmbedder()
    embed_waiting(index, embedder, nobody)
    assert len(search(index.path, publisher.live, *asked, embedder=embedder).hits) == count


def test_a_text_is_embedded_once_and_again_when_it_or_the_embedder_changes(
    diary: Diary, publisher: Publisher, index: SearchIndex
) -> None:
    walk = spoken(diary, "walk.m4a", "I sat by the canal.")
    spoken(diary, "shop.m4a", "We bought a loaf.")
    publisher.publish()
    embedder = KnowingEmbedder()
    embed_waiting(index, embedder, nobody)
    assert sorted(embedder.asked) == ["I sat by the canal.", "We bought a loaf."]
    embed_waiting(index, embedder, nobody)
    assert len(embedder.asked) == 2
    diary.transcribe([walk], said=["I was lonely."])
    publisher.publish()
    embed_waiting(index, embedder, nobody)
    assert embedder.asked[2:] == ["I was lonely."]
    newer = KnowingEmbedder("knowing/2")
    embed_waiting(index, newer, nobody)
    assert sorted(newer.asked) == ["I was lonely.", "We bought a loaf."]
    assert embedded(index) == {"me": 2}
    assert search(index.path, publisher.live, "alone", embedder=embedder).hits == (), "its vectors are gone"


def test_a_backlog_is_worked_off_in_parts(diary: Diary, publisher: Publisher, index: SearchIndex) -> None:
    for n in range(3):
        spoken(diary, f"walk {n}.m4a", "I sat by the canal.")
    publisher.publish()
    embedder = KnowingEmbedder()
    assert embed_waiting(index, embedder, nobody, budget_s=0) == 3
    assert embedder.asked == []
    assert embed_waiting(index, embedder, nobody, budget_s=60) == 0


def test_a_diary_that_stays_at_home_is_sent_to_no_server(
    diary: Diary, publisher: Publisher, index: SearchIndex
) -> None:
    spoken(diary, "walk.m4a", "I sat by the canal.")
    spoken(diary, "hers.m4a", "The river was high.", owner="anna")
    publisher.publish()
    server = KnowingEmbedder(is_remote=True)
    embed_waiting(index, server, lambda owner: owner == "anna")
    assert server.asked == ["I sat by the canal."]
    here = KnowingEmbedder("knowing/here")
    embed_waiting(index, here, lambda owner: owner == "anna")
    assert embedded(index) == {"me": 1, "anna": 1}


def test_who_becomes_private_loses_the_vectors_a_server_made(
    diary: Diary, publisher: Publisher, index: SearchIndex
) -> None:
    spoken(diary, "walk.m4a", "I sat by the canal.")
    spoken(diary, "hers.m4a", "The river was high.", owner="anna")
    publisher.publish()
    server = KnowingEmbedder(is_remote=True)
    embed_waiting(index, server, nobody)
    assert embedded(index) == {"me": 1, "anna": 1}
    embed_waiting(index, server, lambda owner: owner == "anna")
    assert embedded(index) == {"me": 1}


def test_a_text_that_changes_while_it_is_embedded_gets_no_vectors_of_the_old_one(
    diary: Diary, publisher: Publisher, index: SearchIndex
) -> None:
    walk = spoken(diary, "walk.m4a", "I sat by the canal.")
    publisher.publish()
    embedder = KnowingEmbedder()

    def replace() -> None:
        embedder.meanwhile = lambda: None
        diary.transcribe([walk], said=["I was lonely."])
        publisher.publish()

    embedder.meanwhile = replace
    embed_waiting(index, embedder, nobody)
    assert embedded(index) == {}
    embed_waiting(index, embedder, nobody)
    assert embedder.asked == ["I sat by the canal.", "I was lonely."]


def test_without_a_search_file_nothing_waits(index: SearchIndex) -> None:
    assert embed_waiting(index, KnowingEmbedder(), nobody) == 0
    assert not index.path.exists()


class CountedIndex(SearchIndex):
    """A search file that counts how often somebody looked for work in it."""

    looked = 0

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Open it."""
        self.looked += 1
        with super().writing() as file:
            yield file


def test_a_watching_publisher_looks_for_work_only_when_there_can_be_some(
    diary: Diary, publisher: Publisher, tmp_path: Path
) -> None:
    settings = load_settings({"DIARY_HOME": str(tmp_path / "home"), "DIARY_EMBEDDER": "minilm"})
    wiring, embedder = Wiring(settings), KnowingEmbedder()
    index = wiring.search_index = CountedIndex(settings.search_file)
    wiring.embedder = embedder
    embedding = Embedding(wiring)
    looks = []
    for budget_s, is_spoken in ((0, True), (0, False), (60, False), (60, False), (60, True), (60, False)):
        if is_spoken:
            spoken(diary, f"walk {len(looks)}.m4a", "I sat by the canal.")
        done = publisher.publish()
        before = index.looked
        embedding.go_on(budget_s, done.watermark)
        looks.append(index.looked - before)
    assert looks == [1, 1, 1, 0, 1, 0], "new, backlog, backlog, nothing, new, nothing"
    assert len(embedder.asked) == 2
