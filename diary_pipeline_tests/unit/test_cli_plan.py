"""`diary plan` over a real home whose notes a model wrote: what is stale, what that costs, what would change."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from diary_pipeline.cli.main import main
from diary_pipeline.core.recording import Recording
from diary_pipeline.notes.providers.sizing import likely_tokens
from diary_pipeline.settings import load_settings
from diary_pipeline.wiring.deployment import Wiring
from diary_pipeline_tests.diaries import Diary
from diary_pipeline_tests.drafting import honest
from diary_pipeline_tests.provider_servers import ProviderDouble, Reply, provider_server
from diary_pipeline_tests.unit.test_routed_notes import SAID

ROUTE = """
[[llm.routes]]
name = "first"
provider = "openai"
model = "model-1"
base_url = "{url}"
api_key_env = "MODEL_KEY"
price = {{input = 1.0, output = 2.0, as_of = 2026-11-22}}
"""
SHORT = """
[owners.me]
template = "short"

[templates.short]
sections = [{shows = ["event"]}, {heading = "Still to do", shows = ["action"]}]
tone = "Brief."
"""


class Person(io.StringIO):
    """Somebody at a terminal."""

    def isatty(self) -> bool:
        return True


@dataclass
class Home:
    """A home with notes of a model, and the command line on it."""

    folder: Path
    model: ProviderDouble
    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch
    notes: tuple[Recording, ...] = ()

    def configure(self, said: str) -> None:
        """Write the configuration file."""
        (self.folder / "diary.toml").write_text(said)

    @property
    def route(self) -> str:
        """The route to the model, as configured."""
        return ROUTE.format(url=self.model.url)

    def write(self, *names: str, owner: str = "me") -> None:
        """Bring recordings all the way to notes, by whatever is configured."""
        wiring = Wiring(load_settings())
        diary = Diary(wiring.ledger, wiring.store)
        some = diary.accept(*names, owner=owner)
        for number, recording in enumerate(some):
            diary.transcribe([recording], (*SAID, f"This was memo number {number} of that day."))
        wiring.write_note(diary.claim("note", some))
        wiring.ledger.close()
        self.notes += tuple(some)

    def plan(self, *arguments: str, typed: str | None = None) -> tuple[int, str, str]:
        """Run `diary plan`, with somebody at the keyboard or not: exit code, standard output, standard error."""
        self.monkeypatch.setattr("sys.stdin", io.StringIO() if typed is None else Person(typed))
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["plan", *arguments])
        said = self.capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    def told(self, *arguments: str) -> Any:
        """Run `diary plan` that goes well, and read its JSON."""
        code, out, err = self.plan("--format", "json", *arguments)
        assert code == 0, err
        return json.loads(out)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Home]:
    for name, said in {
        "DIARY_HOME": str(tmp_path / "home"),
        "DIARY_CONFIG": str(tmp_path / "diary.toml"),
        "MODEL_KEY": "key-1",
    }.items():
        monkeypatch.setenv(name, said)
    monkeypatch.delenv("DIARY_LOG_LEVEL", raising=False)
    with provider_server("openai") as model:
        model.otherwise = Reply(honest)
        there = Home(tmp_path, model, capsys, monkeypatch)
        there.configure(there.route)
        there.write("walk.m4a", "bread.m4a")
        model.asked.clear()
        yield there


def test_without_a_change_nothing_is_stale_and_the_command_says_so(home: Home) -> None:
    code, out, err = home.plan()
    assert (code, out) == (0, "")
    assert err.startswith("No note is stale")
    assert home.told() == {"stale": [], "routes": []}


def test_a_change_is_told_with_its_reason_its_hours_its_tokens_and_its_price_and_nobody_is_asked(home: Home) -> None:
    home.configure(home.route + SHORT)
    found = home.told()
    [stale] = found["stale"]
    assert (stale["user_id"], stale["reason"], stale["notes"]) == ("me", "template", 2)
    assert stale["audio_hours"] == pytest.approx(2 * 60 / 3600, abs=0.01)
    first, total = found["routes"]
    assert (first["route"], first["model"], first["notes"]) == ("first", "model-1", 2)
    assert total == {**first, "route": "first choice", "model": ""}
    assert first["output_tokens"] == 2 * 1200
    assert first["usd"] == pytest.approx((first["input_tokens"] * 1.0 + first["output_tokens"] * 2.0) / 1e6)
    assert first["usd_at_most"] > first["usd"]
    assert home.model.asked == []


def test_the_question_that_is_priced_is_the_one_that_is_asked(home: Home) -> None:
    home.configure(home.route + SHORT)
    key = max(recording.key for recording in home.notes)
    before = home.told("--limit", "1")["routes"][0]
    found = home.told("--limit", "1", "--sample", "1", "--yes")
    [asked] = home.model.asked
    told = [message["content"] for message in asked.body["messages"]]
    assert before["input_tokens"] == 2 * likely_tokens("".join(told)), "one was read for two notes"
    assert list(found["samples"]) == [key]
    assert "+## Still to do" in found["samples"][key]
    assert found["samples"][key].startswith(f"--- {key} now\n+++ {key} then")


def test_a_sample_is_asked_for_and_is_paid_once(home: Home) -> None:
    home.configure(home.route + SHORT)
    [first, second] = sorted((recording.key for recording in home.notes), reverse=True)
    code, _, err = home.plan("--sample", first)
    assert (code, "[nobody_to_ask]" in err) == (2, True)
    code, _, err = home.plan("--sample", first, typed="n\n")
    assert (code, home.model.asked) == (0, [])
    assert "Writing 1 note costs about $0.0030" in err
    assert "No sample was written." in err
    assert home.plan("--sample", first, typed="y\n")[0] == 0
    assert len(home.model.asked) == 1
    half = home.told()["routes"][0]
    assert half["output_tokens"] == 1200, "the other one is still to pay"
    _, out, _ = home.plan("--sample", first, "--yes")
    assert "+## Still to do" in out
    assert len(home.model.asked) == 1, "its answer was kept"
    assert second not in out


def test_a_note_that_is_not_stale_is_no_sample(home: Home) -> None:
    home.write("theirs.m4a", owner="you")
    home.configure(home.route + SHORT)
    code, _, err = home.plan("--sample", home.notes[-1].key, "--yes")
    assert (code, "[note_not_stale]" in err) == (2, True)
    assert home.told("--user", "you") == {"stale": [], "routes": []}
    assert home.plan("--sample", "nobody", "--yes")[0] == 2


def test_a_sample_that_no_route_gives_is_no_sample(home: Home) -> None:
    home.configure(home.route + SHORT)
    home.model.otherwise = Reply("I would rather not.")
    code, _, err = home.plan("--sample", "1", "--yes")
    assert (code, "[no_route]" in err) == (3, True)


def test_a_route_without_a_price_says_so(home: Home) -> None:
    home.configure(home.route.replace("price", "# price") + SHORT)
    assert [(route["usd"], route["usd_at_most"]) for route in home.told()["routes"]] == [(None, None)] * 2
    assert "unpriced" in home.plan()[1]
    assert "costs an unknown sum" in home.plan("--sample", "1", typed="n\n")[2]


def test_notes_that_models_no_longer_write_cost_nothing(home: Home) -> None:
    home.configure("")
    found = home.told()
    assert ([stale["reason"] for stale in found["stale"]], found["routes"]) == (["writer"], [])
    assert "nothing is paid" in home.plan()[2]
    assert home.told("--sample", "1")["samples"], "nor is anybody asked about a sample"
    assert home.model.asked == []


def test_changed_words_of_a_template_are_told_as_a_changed_prompt(home: Home) -> None:
    home.configure(home.route + SHORT)
    home.write("later.m4a")
    home.configure(home.route + SHORT.replace("Brief.", "Solemn."))
    assert {stale["reason"]: stale["notes"] for stale in home.told()["stale"]} == {"template": 2, "prompt": 1}


def test_degraded_notes_are_told_as_such(home: Home) -> None:
    home.model.otherwise = Reply("I would rather not.")
    home.write("silent model.m4a")
    assert {stale["reason"]: stale["notes"] for stale in home.told()["stale"]} == {"degraded": 1}


def test_rows_have_one_header_as_csv_and_a_comparison_is_refused_there(home: Home) -> None:
    home.configure(home.route + SHORT)
    rows = list(csv.DictReader(io.StringIO(home.plan("--format", "csv")[1])))
    assert [(row["table"], row["reason"] or row["route"], row["notes"]) for row in rows] == [
        ("stale", "template", "2"),
        ("routes", "first", "2"),
        ("routes", "first choice", "2"),
    ]
    assert home.plan("--format", "csv", "--sample", "1")[0] == 2


def test_what_exceeds_the_budget_of_a_day_is_told(home: Home) -> None:
    home.configure("[llm]\nday_budget_usd = 0.001\n" + home.route + SHORT)
    assert "more than day_budget_usd (0.001)" in home.plan()[2]


@pytest.mark.parametrize("form", ["table", "json"])
def test_only_some_may_be_read_and_the_rest_is_taken_to_be_alike(home: Home, form: str) -> None:
    home.configure(home.route + SHORT)
    _, out, err = home.plan("--limit", "1", "--format", form)
    assert "Estimated from the 1 newest of 2 notes" in err
    assert "2400" in out
