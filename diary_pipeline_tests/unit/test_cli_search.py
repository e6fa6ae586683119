"""`diary search` over a small real home, for people, for scripts and for those who ask in other words."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.settings import load_settings
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline.wiring.deployment import Wiring
from diary_pipeline_tests.commands import Run
from diary_pipeline_tests.diaries import Diary
from diary_pipeline_tests.embedding_server import EmbeddingServer, embedding_server

SAID = ("I walked by the river.", "Then I bought [rye] bread.")


@pytest.fixture
def key(run: Run) -> Iterator[str]:
    """A home with one published note; its key."""
    settings = load_settings()
    ledger = open_ledger(settings.ledger_url)
    diary = Diary(ledger, FolderStore(settings.object_dir))
    [walk] = diary.accept("walk.m4a")
    diary.transcribe([walk], said=SAID)
    diary.write([walk], said=SAID, title="By [the] river")
    Wiring(settings).publisher.publish()
    yield walk.key
    ledger.close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddingServer]:
    """A server that the settings name."""
    with embedding_server() as running:
        monkeypatch.setenv("DIARY_EMBEDDER", "openai-compatible")
        monkeypatch.setenv("DIARY_EMBEDDING_URL", running.url)
        monkeypatch.setenv("DIARY_EMBEDDING_MODEL", "made-up")
        yield running


def test_a_table_shows_day_title_passage_time_and_id(run: Run, key: str) -> None:
    ran = run("search", "bread rye")
    assert ran.code == 0
    assert "2026-03-07" in ran.out
    assert "By [the] river" in ran.out
    assert "Then I bought [rye] bread." in ran.out, "in a pipe without marks"
    assert "0:01" in ran.out
    assert key[-12:] in ran.out
    assert "diary show" in ran.err


def test_scripts_get_whole_rows(run: Run, key: str) -> None:
    [row] = json.loads(run("search", "bread", "--format", "json").out)
    assert (row["recording_key"], row["kind"], row["found"]) == (key, "segment", "words")
    assert row["snippet"] == "Then I bought [rye] bread."
    assert row["start_s"] == pytest.approx(1.9)
    [told] = csv.DictReader(io.StringIO(run("search", "bread", "--format", "csv").out))
    assert told["recording_key"] == key


def test_nothing_found_is_well_and_said_on_standard_error(run: Run, key: str) -> None:
    ran = run("search", "zebra", "--format", "json")
    assert (ran.code, ran.out) == (0, "[]\n")
    assert "Nothing that is published has all of these words" in ran.err


def test_other_forms_and_filters_are_said(run: Run, key: str) -> None:
    assert "another form of a word" in run("search", "rivers").err
    assert json.loads(run("search", "river", "--since", "2026-03-08", "--format", "json").out) == []
    assert len(json.loads(run("search", "river", "--until", "2026-03-07", "--user", "me", "-f", "json").out)) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["river", "--since", "yesterday"], 2, "YYYY-MM-DD"),
        (["river", "--meaning"], 2, "DIARY_EMBEDDER"),
        (['"NEAR( river', "-f", "json"], 0, ""),
        (["\N{GRINNING FACE}", "-f", "json"], 0, "Nothing that is published"),
    ],
)
def test_what_cannot_be_is_said_and_odd_words_are_no_error(
    run: Run, key: str, arguments: list[str], code: int, said: str
) -> None:
    ran = run("search", *arguments)
    assert ran.code == code
    assert said in ran.err


def test_where_no_diary_was_begun_it_says_so(run: Run) -> None:
    ran = run("search", "river")
    assert ran.code == 2
    assert "There is no diary at" in ran.err


def test_a_search_file_that_is_missing_comes_with_the_next_publish(run: Run, key: str) -> None:
    load_settings().search_file.unlink()
    ran = run("search", "river")
    assert (ran.code, "[search_missing]" in ran.err) == (2, True)
    assert run("publish").code == 0
    assert run("search", "river").code == 0


def test_publishing_makes_the_vectors_and_meaning_is_mixed_in(run: Run, key: str, server: EmbeddingServer) -> None:
    assert run("publish").code == 0
    assert any("river" in text for asked in server.asked for text in asked["input"])
    [row] = json.loads(run("search", "zebra", "--meaning", "--format", "json").out)
    assert (row["recording_key"], row["found"]) == (key, "meaning")
    [row] = json.loads(run("search", "bread", "--meaning", "--format", "json").out)
    assert row["found"] == "words"


def test_a_server_in_trouble_fails_no_publish(run: Run, key: str, server: EmbeddingServer) -> None:
    server.script = [(401, {"error": {"message": "no such key"}})] * 9
    ran = run("publish")
    assert ran.code == 0
    assert "[embedder_failed]" in ran.err
    assert run("search", "river").code == 0
    assert run("search", "river", "--meaning").code == 3


def test_a_question_about_a_private_diary_goes_to_no_server(
    run: Run, key: str, server: EmbeddingServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "diary.toml").write_text("[owners.me]\nlocal_only = true\n")
    monkeypatch.setenv("DIARY_CONFIG", str(tmp_path / "diary.toml"))
    assert run("publish").code == 0
    ran = run("search", "river", "--meaning", "--format", "json")
    assert len(json.loads(ran.out)) == 1
    assert "by words alone" in ran.err
    assert server.asked == []


def test_the_model_for_meaning_is_listed_among_the_models(run: Run) -> None:
    rows = json.loads(run("models", "list", "--format", "json").out)
    assert "minilm" in [row["name"] for row in rows]
