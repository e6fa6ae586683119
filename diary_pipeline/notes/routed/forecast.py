"""What notes would cost on each route, before anybody is asked: the questions themselves, counted and priced.

Nothing is sent. A question whose answer is kept costs nothing, as it will when it is asked. The surprise: `most` is
what is set aside before the calls; what a repair or a second route takes comes on top.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from diary_pipeline.notes.drafts.chunks import chunks
from diary_pipeline.notes.drafts.claims import Claims
from diary_pipeline.notes.drafts.prompt import head_prompt
from diary_pipeline.notes.offline.notes import OfflineNotes
from diary_pipeline.notes.providers.exchange import Prompt, Usage
from diary_pipeline.notes.routed.notes import Wishes
from diary_pipeline.notes.routed.work import Work
from diary_pipeline.notes.routing.answer_key import answer_key
from diary_pipeline.notes.routing.choosing import Policy, likely_case, obstacle, rank, worst_case
from diary_pipeline.notes.routing.memory import Standing
from diary_pipeline.notes.routing.route import Route
from diary_pipeline.notes.routing.router import AnswersOf
from diary_pipeline.notes.writer import OwnerOf, ToWrite

CLAIMS_SHARE = 0.5
"""Of the tokens of a draft; the rest are its quotes, and the question about the whole shows only claims."""


@dataclass
class Sum:
    """What some notes would take."""

    notes: int = 0
    likely: Usage = field(default_factory=Usage)
    most: Usage = field(default_factory=Usage)
    usd: float | None = 0.0
    """None: some route of it has no price."""
    most_usd: float | None = 0.0

    def add(self, route: Route, likely: Usage, most: Usage) -> None:
        """Count one more note."""
        self.notes += 1
        self.likely, self.most = _together(self.likely, likely), _together(self.most, most)
        self.usd = _plus(self.usd, route, likely)
        self.most_usd = _plus(self.most_usd, route, most)

    def scaled(self, factor: float) -> "Sum":
        """Give the same for so many times as much audio; `notes` stay those that were looked at."""
        usd, most_usd = (None if u is None else u * factor for u in (self.usd, self.most_usd))
        return Sum(self.notes, _times(self.likely, factor), _times(self.most, factor), usd, most_usd)


@dataclass(frozen=True)
class Forecast:
    """Notes and what they would take."""

    routes: Mapping[str, Sum]
    """Each as if it wrote all that it may see."""
    total: Sum
    """With the route that would be asked first for each note; fewer notes than there are: no route may see the rest."""


@dataclass(frozen=True)
class Asked:
    """The routes as the configured writer asks them."""

    routes: Sequence[Route]
    standings: Mapping[str, Standing]
    answers_of: AnswersOf
    owners: OwnerOf
    offline: OfflineNotes
    wishes: Wishes = field(default_factory=Wishes)
    policy: Policy = field(default_factory=Policy)


def forecast(notes: Iterable[ToWrite], asked: Asked) -> Forecast:
    """Count what notes would take."""
    by_route, total = {route.name: Sum() for route in asked.routes}, Sum()
    for one in notes:
        work = Work(one, asked.offline, asked.wishes.redact, has_judge=asked.wishes.judge is not None)
        answers = asked.answers_of(one.recording.owner, one.recording.key)
        local_only = asked.wishes.local_only or asked.owners(one.recording.owner).local_only
        places: list[tuple[tuple[bool, int, float], Route, Usage, Usage]] = []
        for route in asked.routes:
            if obstacle(route, local_only=local_only) is not None:
                continue
            questions = list(_questions(work, route))
            open_ = [q for q in questions if answers.get(answer_key(route, q.prompt)) is None]
            likely, most = _sum(q.likely for q in open_), _sum(worst_case(q.prompt) for q in open_)
            by_route[route.name].add(route, likely, most)
            standing = asked.standings.get(route.name, Standing())
            first = questions[0].prompt
            place = rank(route, first, standing, asked.policy, cooling_s=0.0, queued=0, is_probed=False)
            places.append((place, route, likely, most))
        if places:
            _, route, likely, most = min(places, key=lambda found: found[0])
            total.add(route, likely, most)
    return Forecast(by_route, total)


@dataclass(frozen=True)
class _Question:
    prompt: Prompt
    likely: Usage


def _questions(work: Work, route: Route) -> Iterator[_Question]:
    room = max(1, work.room(route.context_tokens, prose=work.publishes(route)))
    if work.fits_one_question(route.context_tokens, prose=work.publishes(route)):
        yield _question(work.prompt(route))
        return
    pieces = chunks(work.asked.transcript.speech, room, work.redaction.hide)
    drafts = [_question(work.prompt(route, piece, (n, len(pieces)))) for n, piece in enumerate(pieces, 1)]
    yield from drafts
    if work.publishes(route):
        head = head_prompt(work.assignment(prose=True, long=True), Claims(), hide=work.hide(route), most_bytes=room)
        claims = int(CLAIMS_SHARE * sum(draft.likely.output for draft in drafts))
        own = likely_case(head)
        yield _Question(head, replace(own, input=own.input + claims))


def _question(prompt: Prompt) -> _Question:
    return _Question(prompt, likely_case(prompt))


def _sum(usages: Iterable[Usage]) -> Usage:
    total = Usage()
    for usage in usages:
        total = _together(total, usage)
    return total


def _together(one: Usage, other: Usage) -> Usage:
    return Usage(one.input + other.input, one.cached + other.cached, one.output + other.output)


def _times(usage: Usage, factor: float) -> Usage:
    return Usage(*(round(n * factor) for n in (usage.input, usage.cached, usage.output)))


def _plus(usd: float | None, route: Route, usage: Usage) -> float | None:
    unpriced = route.price is None and not route.local
    return None if usd is None or unpriced else usd + route.usd(usage)
