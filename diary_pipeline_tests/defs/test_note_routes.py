"""Notes by language models through the whole product: real SDKs, assets, ledger, store and catalogue.

Only the hearing is scripted, and what a model answers. What routes do with faults is shown in unit/test_llm_router.py.
"""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from diary_pipeline.catalogue.read import transcript_of
from diary_pipeline.ledger import recordings
from diary_pipeline.notes.edits import Edit
from diary_pipeline.notes.routing.route import ProviderName
from diary_pipeline_tests.defs.house import House
from diary_pipeline_tests.defs.routed_house import SAID, routed_house, write_again
from diary_pipeline_tests.drafting import honest
from diary_pipeline_tests.provider_servers import ProviderDouble, Reply, failure, provider_server

PROVIDERS: tuple[ProviderName, ...] = ("openai", "anthropic", "mistral")
USD = (200 * 1.0 + 1000 * 1.0 + 200 * 2.0) / 1e6
"""One answer of a double: 1,200 tokens in, of which 1,000 were cached, and 200 out."""
TERSE = """
[owners.me]
template = "terse"

[templates.terse]
tone = "Terse."
"""
NOTES = "SELECT writer, degraded FROM notes"
STATUS = "SELECT status FROM recordings"
CALLS = 'SELECT route, outcome FROM llm_calls ORDER BY "at"'


@pytest.fixture
def model(request: pytest.FixtureRequest) -> Iterator[ProviderDouble]:
    with provider_server(getattr(request, "param", "openai")) as double:
        double.otherwise = Reply(honest)
        yield double


@pytest.fixture
def house(tmp_path: Path, model: ProviderDouble) -> Iterator[House]:
    with routed_house(tmp_path, model) as opened:
        yield opened


def lived_through(house: House) -> str:
    """Take one recording its whole way; return its key."""
    house.drop("2026-03-02 river.wav", seconds=20.0)
    assert [run.success for run in house.once()] == [True, True, True]
    [key] = house.keys()
    return key


def metadata_of(house: House) -> dict[str, object]:
    newest = house.instance.get_latest_materialization_event(dg.AssetKey("diary_note"))
    assert newest is not None and newest.asset_materialization is not None
    return {name: told.value for name, told in newest.asset_materialization.metadata.items()}


@pytest.mark.parametrize("model", PROVIDERS, indirect=True)
def test_a_note_of_each_provider_is_published_with_its_writer_its_cost_and_its_checks(
    house: House, model: ProviderDouble
) -> None:
    key = lived_through(house)
    assert house.sql(STATUS) == [("completed",)]
    assert house.sql("SELECT recording_key, writer, degraded, cost_usd FROM notes") == [
        (key, "llm", False, pytest.approx(USD))
    ]
    told = "route, model, outcome, input_tokens, cached_tokens, output_tokens, cost_usd"
    assert house.sql(f"SELECT recording_key, {told} FROM llm_calls") == [
        (key, model.provider, f"{model.provider}-model", "accepted", 1200, 1000, 200, pytest.approx(USD))
    ]
    assert house.sql("SELECT recording_key, attempts, unpriced_attempts, cost_usd FROM recording_costs") == [
        (key, 1, 0, pytest.approx(USD))
    ]
    # What 20 seconds cost here would be $0.29 an hour of audio.
    failed = "SELECT check_name, severity FROM checks WHERE NOT passed AND check_name <> 'transcript_is_plausible'"
    assert house.sql(failed) == [("cost_in_budget", "WARN")]
    assert {"not_degraded", "quotes_verbatim", "names_supported"} <= {
        name for (name,) in house.sql("SELECT check_name FROM checks WHERE passed")
    }
    assert house.sql("SELECT text, due_date IS NOT NULL FROM note_items WHERE kind = 'action'") == [(SAID[4], True)]


def test_dagster_is_told_who_wrote_what_it_cost_and_no_sentence(tmp_path: Path, model: ProviderDouble) -> None:
    with routed_house(tmp_path, model, DIARY_PREVIEWS="false") as house:
        key = lived_through(house)
        told = metadata_of(house)
        assert (told["writer"], told["degraded"], told["cost_usd"]) == ("llm", False, pytest.approx(USD))
        assert "preview" not in told
        assert not any(sentence in str(told) for sentence in SAID)
        assert house.checks("diary_note", "note_is_supported") == {key: "SUCCEEDED"}


def test_regression_05_with_all_routes_down_nothing_is_lost_and_the_status_is_not_completed(tmp_path: Path) -> None:
    with provider_server("openai") as first, provider_server("anthropic") as second, provider_server("mistral") as last:
        servers = (first, second, last)
        for server in servers:
            server.otherwise = failure(server.provider, 401)
        with routed_house(tmp_path, *servers) as house:
            key = lived_through(house)
            assert house.sql(STATUS) == [("degraded",)]
            assert house.sql("SELECT writer, degraded, cost_usd FROM notes") == [("offline", True, 0.0)]
            assert house.sql(CALLS) == [(server.provider, "auth") for server in servers]
            assert house.sql("SELECT text FROM note_items WHERE kind = 'action'") == [(SAID[4],)]
            assert house.sql("SELECT passed, severity FROM checks WHERE check_name = 'not_degraded'") == [
                (False, "WARN")
            ]
            assert house.status("diary_note") == ({key}, set())
            assert metadata_of(house)["degraded"] is True


def test_a_degraded_note_is_upgraded_by_the_next_run_and_the_audio_is_heard_once(
    house: House, model: ProviderDouble
) -> None:
    model.otherwise = failure("openai", 401)
    key = lived_through(house)
    assert house.sql(NOTES) == [("offline", True)]
    assert house.checks("diary_note", "note_is_fit") == {key: "FAILED"}
    model.otherwise = Reply(honest)
    assert write_again(house, key).success
    house.publish()
    assert house.sql(NOTES) == [("llm", False)]
    assert house.sql(STATUS) == [("completed",)]
    assert house.sql(CALLS) == [("openai", "auth"), ("openai", "accepted")]
    assert house.wiring.ears.heard == 1
    asked = len(model.asked)
    assert write_again(house, key).success
    assert len(model.asked) == asked, "what is current is not asked for again"


def test_every_road_to_a_note_ends_in_the_catalogue_at_the_next_publish(tmp_path: Path, model: ProviderDouble) -> None:
    """Offline, degraded, upgraded, written anew in another form, corrected by its owner."""
    with routed_house(tmp_path / "without") as house:
        lived_through(house)
        assert searched(house) == [("offline", False, SAID[4])]
        assert house.wiring.ears.heard == 1
    model.script.append(failure("openai", 401))
    with routed_house(tmp_path / "with", model) as house:
        key = lived_through(house)
        assert searched(house) == [("offline", True, SAID[4])]
        assert write_again(house, key).success
        house.publish()
        assert searched(house) == [("llm", False, SAID[4])]
        assert house.wiring.ears.heard == 1
        before = house.sql("SELECT prompt_version FROM notes")
    with routed_house(tmp_path / "with", model, config_more=TERSE) as house:
        assert write_again(house, key).success
        house.publish()
        assert searched(house) == [("llm", False, SAID[4])]
        assert house.sql("SELECT prompt_version FROM notes") != before
        bell = SAID[4].replace("bicycle", "bicycle bell")
        correct(house, key, SAID[4], bell)
        house.publish()
        corrected = "SELECT text, machine_text FROM segments WHERE machine_text IS NOT NULL"
        assert house.sql(corrected) == [(bell, SAID[4])]
        assert searched(house) == [("llm", False, SAID[4])], "the older note stays until its successor is there"
        assert [run.success for run in house.once()] == [True, True], "a note, and a publish; nobody is heard again"
        assert searched(house) == [("llm", False, bell)]
        assert house.sql("SELECT count(*) FROM checks WHERE check_name = 'quotes_verbatim' AND passed") == [(1,)]
        assert house.wiring.ears.heard == 0
    assert "Terse." in model.asked[-1].text
    assert "bicycle bell" in model.asked[-1].text


def test_regression_11_a_changed_model_is_really_called(tmp_path: Path, model: ProviderDouble) -> None:
    with routed_house(tmp_path, model) as house:
        key = lived_through(house)
    changed_to = {"model": "newer-model"}
    with routed_house(tmp_path, model, config_more=TERSE, changes=changed_to) as house:
        assert write_again(house, key).success
        house.publish()
        assert house.sql('SELECT model, outcome FROM llm_calls ORDER BY "at"') == [
            ("openai-model", "accepted"),
            ("newer-model", "accepted"),
        ]
    assert [asked.body["model"] for asked in model.asked] == ["openai-model", "newer-model"]


def correct(house: House, key: str, heard: str, meant: str) -> None:
    """Correct a recording's transcript, as `diary edit` does."""
    with house.ledger.reading() as conn:
        [row] = recordings.rows(conn, [key])
    said = transcript_of(house.ledger, house.wiring.store, key)
    assert said is not None
    [segment] = [s for s in said.speech if heard in s.text]
    house.wiring.edit(row.recording, [Edit("segment", segment.text.replace(heard, meant), segment.id)], "me")


def searched(house: House) -> list[tuple[object, ...]]:
    """Find the note of the recording by a word of it, as a person does."""
    return house.sql(
        "SELECT writer, degraded, text FROM notes JOIN note_items USING (recording_key)"
        " WHERE kind = 'action' AND text ILIKE '%bicycle%'"
    )
