"""Notes by routes when something is in the way: nobody answers, may be asked or paid, or is to be believed."""

from dataclasses import replace
from pathlib import Path

import pytest

from diary_pipeline.core.owner import Owner
from diary_pipeline.notes.batch import WriteNotes
from diary_pipeline.notes.renderers.template import Templates, template_from
from diary_pipeline_tests.diaries import Diary
from diary_pipeline_tests.drafting import changed, honest
from diary_pipeline_tests.provider_servers import ProviderDouble, Reply, failure, provider_server
from diary_pipeline_tests.routed import (  # noqa: F401
    PROVIDERS,
    SAID,
    a_diary,
    a_model,
    calls,
    route,
    spoken,
    status,
    stored,
    wandering,
    writer,
    written,
)


def test_with_every_route_down_the_note_is_degraded_and_upgraded_by_the_next_run(
    diary: Diary, model: ProviderDouble
) -> None:
    model.otherwise = failure("openai", 401)
    recording = spoken(diary)
    written(diary, writer(diary, route(model)), recording)
    assert status(diary, recording) == "degraded"
    assert stored(diary, recording).writer == "offline"
    model.otherwise = Reply(honest)
    report = written(diary, writer(diary, route(model)), recording)
    assert [r.outcome for r in report.results] == ["committed"]
    assert (stored(diary, recording).writer, status(diary, recording)) == ("llm", "completed")
    asked = len(model.asked)
    assert [r.outcome for r in written(diary, writer(diary, route(model)), recording).results] == ["found"]
    assert len(model.asked) == asked


def test_a_stand_in_takes_neither_the_place_nor_the_file_of_a_good_note(
    diary: Diary, model: ProviderDouble, tmp_path: Path
) -> None:
    recording = spoken(diary)
    short = Templates(template_from("short", {"sections": [{"shows": ["event"]}]}))
    before, after = writer(diary, route(model)), writer(diary, route(model), templates=short, local_only=True)
    WriteNotes(diary.ledger, diary.store, before, tmp_path / "notes")(diary.claim("note", [recording]))
    [file] = (tmp_path / "notes").rglob("*.md")
    good = file.read_text()
    report = WriteNotes(diary.ledger, diary.store, after, tmp_path / "notes")(diary.claim("note", [recording]))
    assert [(r.outcome, r.code) for r in report.results] == [("skipped", "better_kept")]
    assert file.read_text() == good
    assert (stored(diary, recording).writer, status(diary, recording)) == ("llm", "completed")


def test_a_key_that_is_missing_for_a_day_makes_no_note_stale(diary: Diary, model: ProviderDouble) -> None:
    found = route(model, name="home", local=True, prose=False)
    with_key, without = route(model), route(model, api_key=None)
    assert writer(diary, with_key, found).prompt_versions(Owner()) == writer(diary, without, found).prompt_versions(
        Owner()
    )


def test_what_was_refused_is_asked_for_anew_when_its_note_is_tried_again(diary: Diary, model: ProviderDouble) -> None:
    model.otherwise = Reply("{}")
    recording = spoken(diary)
    report = written(diary, writer(diary, route(model)), recording)
    assert (status(diary, recording), report.results[0].code) == ("degraded", "llm_failed")
    asked = len(model.asked)
    model.otherwise = Reply(honest)
    written(diary, writer(diary, route(model)), recording)
    assert (stored(diary, recording).writer, status(diary, recording)) == ("llm", "completed")
    assert len(model.asked) == asked + 1


def test_what_a_server_cut_is_not_kept(diary: Diary, model: ProviderDouble) -> None:
    model.otherwise = Reply(honest, ended="refusal")
    recording = spoken(diary)
    written(diary, writer(diary, route(model)), recording)
    assert list(diary.store.list("answers/")) == []


@pytest.mark.parametrize("judged", [False, True])
def test_a_model_may_rephrase_a_german_diary_only_where_somebody_can_judge_it(
    diary: Diary, model: ProviderDouble, judged: bool
) -> None:
    said = (
        "Heute war ich mit meiner Schwester am Fluss.",
        "Wir haben über ihre neue Arbeit gesprochen.",
        "Danach habe ich Brot und zwei Zitronen gekauft.",
        "Am Nachmittag habe ich auf dem Balkon gelesen, bis es regnete.",
    )
    model.otherwise = Reply(
        lambda asked: (
            changed(asked, summary="Ich habe mit Ottoline in Hamburg gestritten.")
            if '"said_date"' in str(asked.body)
            else honest(asked)
        )
    )
    with provider_server("anthropic") as judge:
        judge.otherwise = Reply('{"statements": [{"statement": 1, "segments": [0], "verdict": "contradicted"}]}')
        routes = (route(model), route(judge, name="judge", tier=9))
        recording = spoken(diary, said, language="de")
        written(diary, writer(diary, *routes, judge="judge" if judged else None), recording)
        note = stored(diary, recording)
    assert "Ottoline" not in f"{note.summary} {note.title} {note.items}"
    assert note.prompt_version.startswith("found-")


def test_a_broken_judge_costs_no_note(diary: Diary, model: ProviderDouble) -> None:
    model.otherwise = Reply(lambda a: changed(a, title="Along the river with Priya again this morning"))
    with provider_server("mistral") as judge:
        judging = route(judge, name="judge", tier=9, extra={"no_such_option": 1})
        recording = spoken(diary)
        written(diary, writer(diary, route(model), judging, judge="judge"), recording)
    assert (stored(diary, recording).writer, status(diary, recording)) == ("llm", "completed")


def test_an_answer_is_paid_once_whatever_happens_to_its_note(diary: Diary, model: ProviderDouble) -> None:
    recording = spoken(diary)
    batch = diary.claim("note", [recording])
    late = replace(batch, leases=(replace(batch.leases[0], epoch=batch.leases[0].epoch - 1),))
    report = WriteNotes(diary.ledger, diary.store, writer(diary, route(model)))(late)
    assert [r.code for r in report.results] == ["fenced"], "the note was written, and may not be committed"
    assert [r.outcome for r in written(diary, writer(diary, route(model)), recording).results] == ["committed"]
    assert len(model.asked) == 1
    assert [c.outcome for c in calls(diary, recording)] == ["accepted", "cached"]


@pytest.mark.parametrize("prose", [True, False])
def test_the_next_route_is_asked_when_one_writes_nonsense(diary: Diary, model: ProviderDouble, prose: bool) -> None:
    with provider_server("anthropic") as second:
        second.otherwise = Reply(honest)
        model.otherwise = Reply("{}")
        recording = spoken(diary)
        routes = route(model, prose=prose), route(second, name="second", tier=1, prose=prose)
        written(diary, writer(diary, *routes), recording)
    assert [(c.route, c.outcome) for c in calls(diary, recording)] == [
        ("first", "invalid"),
        ("first", "invalid"),
        ("second", "accepted"),
    ]


def test_addresses_are_hidden_from_other_peoples_servers_and_stand_in_the_note(
    diary: Diary, model: ProviderDouble
) -> None:
    said = (*SAID[:3], "I wrote to anna.weber@example.org about the flat.", SAID[4])
    recording = spoken(diary, said)
    written(diary, writer(diary, route(model), redact=("email",)), recording)
    assert "anna.weber" not in model.asked[0].text and "<EMAIL_1>" in model.asked[0].text
    assert said[3] in [i.text for i in stored(diary, recording).of("event")]
    other = spoken(diary, said, "again.m4a")
    written(diary, writer(diary, route(model, name="home", local=True, prose=True), redact=("email",)), other)
    assert "anna.weber@example.org" in model.asked[-1].text


@pytest.mark.parametrize("whose", ["owner", "deployment"])
def test_a_private_diary_leaves_no_machine_of_ours(diary: Diary, model: ProviderDouble, whose: str) -> None:
    recording = spoken(diary)
    private = (lambda name: Owner(name, local_only=True)) if whose == "owner" else Owner
    notes = writer(diary, route(model), owner=private, local_only=whose == "deployment")
    written(diary, notes, recording)
    assert model.asked == []
    assert status(diary, recording) == "degraded"


def test_a_budget_that_is_spent_stops_the_calls_and_loses_no_note(diary: Diary, model: ProviderDouble) -> None:
    some = [spoken(diary, SAID, f"{n}.m4a") for n in range(3)]
    written(diary, writer(diary, route(model, concurrency=1), run_usd=0.0115), *some)
    kinds = sorted(stored(diary, r).writer for r in some)
    assert kinds in (["llm", "llm", "offline"], ["llm", "offline", "offline"])
    assert len(model.asked) == kinds.count("llm")


def test_a_judge_of_another_family_is_asked_about_a_near_copy(diary: Diary, model: ProviderDouble) -> None:
    with provider_server("anthropic") as judge:
        judge.otherwise = Reply(
            lambda asked: (
                '{"statements": ['
                + ", ".join(
                    f'{{"statement": {n + 1}, "segments": [0], "verdict": "supported"}}'
                    for n in range(asked.text.split("Statements:")[1].count("\n"))
                )
                + "]}"
            )
        )
        model.otherwise = Reply(lambda a: changed(a, title="Along the river with Priya again this morning"))
        recording = spoken(diary)
        judging = route(judge, name="judge", tier=9)
        report = written(diary, writer(diary, route(model), judging, judge="judge"), recording)
    assert len(judge.asked) == 1
    assert "faithful" in [c.name for c in report.results[0].checks]
