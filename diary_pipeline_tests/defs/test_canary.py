"""Words of a diary and keys stand where they belong and nowhere else, also when everything goes wrong.

Where text may be: the object store, the exported files and the catalogue. What is searched: logs, everything that
Dagster stores (events, metadata, run tags, errors), the ledger, and what an SDK's error says.
"""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from diary_pipeline.core.llm_call import Attempt
from diary_pipeline.ledger import llm_calls
from diary_pipeline_tests.builders import speech_like
from diary_pipeline_tests.defs.house import House
from diary_pipeline_tests.defs.routed_house import KEY, SAID, routed_house, write_again
from diary_pipeline_tests.drafting import changed, honest
from diary_pipeline_tests.provider_servers import ProviderDouble, Reply, failure, provider_server

SECRET = "SECRET DIARY"
RECORDINGS = 6
TEXTS = tuple(
    " ".join((*SAID[:4], f"My {SECRET} number {n} lies under the mattress.", SAID[4])) for n in range(RECORDINGS)
)


def echo(status: int) -> Reply:
    """Fail as servers do that quote what they were sent, key and all."""
    return failure("openai", status, message=f"cannot read: {SECRET} sent with {KEY}")


FAULTS = (
    *[echo(500)] * 3,
    *[Reply(f"I would rather not talk of the {SECRET}.")] * 2,
    *[Reply(body=f'{{"choices": ["{SECRET}', status=200)] * 2,
    *[Reply(lambda asked: changed(asked, title=f"The {SECRET} of Bartholomew", people=[SECRET]))] * 2,
    *[Reply(f'{{"title": "{SECRET}', ended="length")] * 2,
    echo(400),
    Reply(honest, ended="filtered"),
    echo(401),  # the last one: it ends the use of the route in a run
)


@pytest.fixture
def model() -> Iterator[ProviderDouble]:
    with provider_server("openai") as double:
        double.otherwise = Reply(honest)
        yield double


def dropped(house: House) -> None:
    for n in range(RECORDINGS):
        house.drop(f"2026-03-0{n + 1} river.wav", speech_like(20.0, pitch_hz=120.0 + 10 * n))


def told_by(house: House, caplog: pytest.LogCaptureFixture) -> dict[str, str]:
    """Everything that was written down but where text may be, by where it stands."""
    s = house.settings
    twins = s.catalogue_file.with_name(f".{s.catalogue_file.name}.twin")
    published = (s.catalogue_file, twins, s.search_file, s.marts_file)
    may_hold_text = (s.object_dir, s.note_dir, s.transcript_dir, s.drop_dir, *published)
    told = {
        path.relative_to(s.home).as_posix(): path.read_bytes().decode("utf-8", "ignore")
        for path in sorted(s.home.rglob("*"))
        if path.is_file() and not any(path.is_relative_to(place) for place in may_hold_text)
    }
    return told | {
        "logs": "\n".join(f"{r.getMessage()} {r.exc_text} {r.exc_info} {r.__dict__}" for r in caplog.records)
    }


def test_no_word_of_a_diary_and_no_key_is_told_whatever_goes_wrong(
    tmp_path: Path, model: ProviderDouble, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    model.script.extend(FAULTS)
    with routed_house(tmp_path, model, said=TEXTS, DIARY_PREVIEWS="false") as house:
        dropped(house)
        runs = house.once()
        keys = house.keys()
        while model.script:
            left = len(model.script)
            runs += [write_again(house, key) for key in keys]
            assert len(model.script) < left, "the rest is never asked for"
        runs.append(write_again(house, keys[0]))
        assert all(run.success for run in runs)
        outcomes = {attempt.outcome for attempt in attempts(house)}
        told = told_by(house, caplog)
    out, trouble = capfd.readouterr()
    told |= {"output": out, "trouble": trouble, "results": "".join(str(run.all_events) for run in runs)}
    assert outcomes >= {"server", "invalid", "ungrounded", "too_long", "rejected", "auth", "accepted"}
    assert all(SECRET in asked.text and asked.key == KEY for asked in model.asked), "the model was told"
    assert {name for name, text in told.items() if SECRET in text} == set()
    assert {name for name, text in told.items() if KEY in text} == set()


def test_the_search_would_find_it(tmp_path: Path, model: ProviderDouble, caplog: pytest.LogCaptureFixture) -> None:
    """With previews, which are a decision, Dagster's storage holds notes: what is searched is what was written."""
    with routed_house(tmp_path, model, said=TEXTS) as house:
        house.drop("2026-03-02 river.wav", seconds=20.0)
        house.once()
        told = told_by(house, caplog)
        kept = b"".join(path.read_bytes() for path in (house.settings.object_dir / "answers").rglob("*.json"))
    assert any(SECRET in text for name, text in told.items() if name.startswith("dagster/"))
    assert any(name.startswith("ledger") for name in told)
    assert SECRET.encode() in kept and KEY.encode() not in kept


def attempts(house: House) -> list[Attempt]:
    with house.ledger.reading() as conn:
        return [attempt for some in llm_calls.attempts_of(conn, house.keys()).values() for attempt in some]
