"""What notes would take is counted as the routes would be asked: who may see it, in how many pieces, at which price."""

from dataclasses import replace
from typing import Any

import pytest

from diary_pipeline.core.owner import Owner
from diary_pipeline.notes.providers.exchange import Completion
from diary_pipeline.notes.providers.sizing import likely_tokens
from diary_pipeline.notes.routed.forecast import Asked, Forecast, forecast
from diary_pipeline.notes.routed.notes import Wishes
from diary_pipeline.notes.routed.work import Work
from diary_pipeline.notes.routing.answer_key import answer_key
from diary_pipeline.notes.routing.choosing import USUAL_OUTPUT
from diary_pipeline.notes.routing.memory import KeptAnswers, Standing
from diary_pipeline.notes.routing.route import Price, Route
from diary_pipeline.notes.writer import ToWrite
from diary_pipeline_tests.builders import make_recording, make_transcript
from diary_pipeline_tests.note_builders import offline_notes

CHEAP = Route("cheap", "openai", "small", api_key="k", price=Price(0.1, 0.2, "2026-11-22"))
FAIR = Price(0.3, 0.6, "2026-11-22")
DEAR = Route("dear", "anthropic", "large", api_key="k", price=Price(10.0, 20.0, "2026-11-22"))
UNPRICED = replace(CHEAP, name="unpriced", price=None)
HOME = replace(CHEAP, name="home", base_url="http://127.0.0.1:1/v1", api_key=None, local=True, prose=False, price=None)
KEYLESS = replace(CHEAP, name="keyless", api_key=None)


def spoken(*said: str, owner: str = "me") -> ToWrite:
    """A recording in which this was said."""
    recording = make_recording(owner=owner)
    return ToWrite(recording, make_transcript(said or ("I went home.",), recording_key=recording.key))


def counted(*routes: Route, notes: tuple[ToWrite, ...] = (), **changes: Any) -> Forecast:
    """Forecast one short note unless others are given."""
    usual = Asked(routes, {}, lambda *_: KeptAnswers(), Owner, offline_notes())
    return forecast(notes or (spoken(),), replace(usual, **changes))


def test_a_note_takes_the_tokens_of_its_question_and_of_a_usual_answer() -> None:
    found = counted(CHEAP)
    prompt = Work(spoken(), offline_notes(), ()).prompt(CHEAP)
    each = found.routes["cheap"]
    assert (each.notes, each.likely.input) == (1, likely_tokens(prompt.system + prompt.user))
    assert each.likely.output == USUAL_OUTPUT < each.most.output == prompt.max_output_tokens
    assert each.usd == pytest.approx((each.likely.input * 0.1 + each.likely.output * 0.2) / 1e6)
    assert each.most_usd == pytest.approx((each.most.input * 0.1 + each.most.output * 0.2) / 1e6)


@pytest.mark.parametrize(
    ("routes", "standings", "first", "why"),
    [
        ((DEAR, CHEAP), {}, "cheap", "the cheapest"),
        ((replace(DEAR, tier=-1), CHEAP), {}, "dear", "unless a tier comes before it"),
        (
            (CHEAP, replace(DEAR, price=FAIR)),
            {"cheap": Standing(100, 1)},
            "dear",
            "bad answers",
        ),
    ],
)
def test_the_total_is_that_of_the_route_that_would_be_asked_first(
    routes: tuple[Route, ...], standings: dict[str, Standing], first: str, why: str
) -> None:
    found = counted(*routes, standings=standings)
    assert set(found.routes) == {route.name for route in routes}
    assert found.total == found.routes[first], why


def test_a_private_diary_is_counted_for_local_routes_alone_and_those_bill_nothing() -> None:
    both = (spoken(), spoken(owner="you"))
    found = counted(CHEAP, HOME, notes=both, owners=lambda name: Owner(name, local_only=name == "you"))
    assert {name: each.notes for name, each in found.routes.items()} == {"cheap": 1, "home": 2}
    assert (found.routes["home"].usd, found.routes["home"].most_usd) == (0.0, 0.0)
    assert counted(CHEAP, wishes=Wishes(local_only=True)).total.notes == 0


def test_a_route_without_a_key_writes_nothing_and_one_without_a_price_makes_no_sum() -> None:
    found = counted(KEYLESS, UNPRICED)
    assert (found.routes["keyless"].notes, found.routes["unpriced"].notes) == (0, 1)
    assert (found.total.usd, found.total.most_usd) == (None, None)
    assert found.total.scaled(3).usd is None
    assert found.total.scaled(3).likely.output == 3 * USUAL_OUTPUT


@pytest.mark.parametrize(("prose", "heads"), [(True, 1), (False, 0)])
def test_a_long_recording_takes_a_question_a_piece_and_one_about_the_whole(prose: bool, heads: int) -> None:
    said = tuple(f"On day {n} I walked along the river and thought about my brother and his boat." for n in range(600))
    small = replace(CHEAP, context_tokens=8192, prose=prose)
    whole, pieces = (counted(route, notes=(spoken(*said),)).routes["cheap"] for route in (CHEAP, small))
    asked = pieces.most.output // 400 if not prose else (pieces.most.output - 1500) // 4000
    assert (whole.most.output, asked > 3) == (4000, True)
    assert pieces.likely.output == asked * min(USUAL_OUTPUT, 400 if not prose else 4000) + heads * USUAL_OUTPUT
    assert pieces.likely.input > whole.likely.input - 1000, "nothing of the diary is left out"


def test_an_answer_that_is_kept_is_not_paid_again() -> None:
    kept = KeptAnswers()
    key = answer_key(CHEAP, Work(spoken(), offline_notes(), ()).prompt(CHEAP))
    kept.put(key, Completion("{}", counted(CHEAP).total.likely, "small"))
    found = counted(CHEAP, DEAR, answers_of=lambda *_: kept)
    assert (found.routes["cheap"].usd, found.routes["cheap"].notes) == (0.0, 1)
    assert found.routes["dear"].usd == counted(DEAR).total.usd
