"""The notes of a batch, written by the routes of a deployment: many at once, each by itself, and none lost.

Choosing a route, waiting and paying are routing/'s business, judging is acceptance.py's. Where no route gives a note
that may be published, the offline writer's takes its place, marked `degraded`, and a later run tries again.

What surprises: nothing of this fails a recording. Only what speaks of the surroundings is handed on as an error, such
as a missing SDK.
"""

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from diary_pipeline.core.batch import Check
from diary_pipeline.core.errors import DiaryError, PermanentError
from diary_pipeline.core.note import DiaryNote
from diary_pipeline.core.owner import Owner
from diary_pipeline.notes.drafts.prompt import prompt_version
from diary_pipeline.notes.drafts.redaction import Kind
from diary_pipeline.notes.evidence.judge import Judgement, faithful, judge_prompt, read_judgement, worth_judging
from diary_pipeline.notes.offline.notes import OfflineNotes
from diary_pipeline.notes.providers.exchange import Failure, LLMError, Prompt
from diary_pipeline.notes.renderers.template import Template
from diary_pipeline.notes.routed.acceptance import Acceptance, checks_of
from diary_pipeline.notes.routed.long_note import long_note
from diary_pipeline.notes.routed.work import Work
from diary_pipeline.notes.routing.outcome import Accepted, NoRoute, Rejected, Why
from diary_pipeline.notes.routing.route import Route
from diary_pipeline.notes.routing.router import Router
from diary_pipeline.notes.writer import OwnerOf, TemplatesOf, ToWrite, Written, note_version
from diary_pipeline.observability.logs import log

T = TypeVar("T")
AT_ONCE = 16
"""Notes in flight: more only wait for a route's slots, each with its transcript opened."""
logger = log(__name__)


@dataclass(frozen=True)
class Wishes:
    """What holds for every note of a deployment."""

    redact: Collection[Kind] = ()
    local_only: bool = False
    judge: str | None = None
    """Name of the route that checks notes of another provider's models."""


class RoutedNotes:
    """Notes by language models, with the offline writer behind them."""

    writer: Literal["llm"] = "llm"

    def __init__(
        self,
        routes: Sequence[Route],
        open_router: Callable[[str], Router],
        owners: OwnerOf,
        templates: TemplatesOf,
        wishes: Wishes | None = None,
    ) -> None:
        """`open_router` gives the router of a run, whose budget is its own."""
        self._routes = routes
        self._open_router = open_router
        self._owners = owners
        self._templates = templates
        self._wishes = wishes or Wishes()
        self._offline = OfflineNotes(owners, templates)

    def prompt_versions(self, owner: Owner) -> frozenset[str]:
        """Name the questions that this owner's routes may be asked, of short and of long recordings."""
        forms = self._templates(owner)
        return frozenset(
            prompt_version(form, form.language or owner.note_language, prose=prose, long=long)
            for form in (forms.usual, *forms.by_tag.values())
            for prose in self._kinds(owner)
            for long in (False, True)
        )

    def versions(self, asked: ToWrite) -> frozenset[str]:
        """Name the versions that any route may have given."""
        form, wanted = self.form(asked)
        recording = asked.recording
        made_with = {
            prompt_version(form, wanted, prose=prose, long=long)
            for prose in self._kinds(self._owners(recording.owner))
            for long in (False, True)
        }
        return frozenset(note_version(asked.transcript, m, recording.recorded_at, recording.title) for m in made_with)

    def form(self, asked: ToWrite) -> tuple[Template, str | None]:
        """Give the template of a recording's note, and the language that its owner wants."""
        return self._offline.form(asked)

    def write(self, asked: Sequence[ToWrite], run: str) -> Iterator[tuple[str, Written | Exception]]:
        """Write side by side."""
        yield from asyncio.run(self._write_all(asked, run))

    async def _write_all(self, asked: Sequence[ToWrite], run: str) -> list[tuple[str, Written | Exception]]:
        room = asyncio.Semaphore(AT_ONCE)
        async with self._open_router(run) as router:

            async def one(work: ToWrite) -> Written | Exception:
                async with room:
                    try:
                        return await self._write(router, self._opened(work))
                    except Exception as error:  # noqa: BLE001 - this recording's, or told to who runs the batch
                        return error

            found = await asyncio.gather(*map(one, asked))
        return [(work.recording.key, outcome) for work, outcome in zip(asked, found, strict=True)]

    async def _write(self, router: Router, work: Work) -> Written:
        try:
            note, author = await self._accepted(router, work)
        except (NoRoute, Rejected, PermanentError) as error:
            reason = _reason(error)
            logger.warning("note_degraded", key=work.asked.recording.key, reason=reason, attempts=len(work.attempts))
            return Written(work.stand_in(), reason_code=f"llm_{reason}")
        judged = await self._judged(router, note, work, author)
        if work.has_judge and not work.is_readable and (judged is None or not judged.passed):
            # Nobody could say that its sentences are true: the speaker's own are told instead.
            return await self._write(router, replace(work, has_judge=False))
        return Written(replace(note, cost_usd=work.cost_usd), judged)

    def _opened(self, asked: ToWrite) -> Work:
        judge = self._judge(self._able(asked.recording.owner))
        return Work(asked, self._offline, self._wishes.redact, has_judge=judge is not None)

    def _judge(self, able: Sequence[Route]) -> Route | None:
        return next((route for route in able if route.name == self._wishes.judge), None)

    async def _accepted(self, router: Router, work: Work) -> tuple[DiaryNote, str]:
        """The note, and whose model wrote it; of a long recording in pieces that the largest context holds."""
        able = self._able(work.asked.recording.owner)
        if not able or any(work.fits_one_question(r.context_tokens, prose=work.publishes(r)) for r in able):
            accepted = await self._ask(router, work, lambda _: True, work.prompt, Acceptance(work))
            return accepted.value, family(accepted.route)
        prose = any(map(work.publishes, able))
        alike = [route for route in able if work.publishes(route) == prose]
        contexts = sorted({route.context_tokens for route in alike}, reverse=True)
        for context, smaller in zip(contexts, [*contexts[1:], None], strict=True):

            async def ask(prompt_for: Callable[[Route], Prompt], accept: Callable[[str, Route], T]) -> Accepted[T]:
                return await self._ask(router, work, lambda route: route in alike, prompt_for, accept)

            try:
                return await long_note(ask, work, context, prose=prose), family(alike[0])
            except NoRoute as error:
                # Whoever could have read pieces of this size failed; the others need smaller ones.
                if smaller is None or Why.TOO_LONG not in error.reasons.values():
                    raise
        raise AssertionError("a route is able, so a context was tried")

    async def _judged(self, router: Router, note: DiaryNote, work: Work, author: str) -> Check | None:
        """Ask the judge where rules have doubts or are blind; none where it is the writer's own family or silent."""
        judge = self._judge(self._able(work.asked.recording.owner))
        if judge is None or family(judge) == author:
            return None
        if work.is_readable and not worth_judging(note, work.said, checks_of(note, work)):
            return None
        prompt = judge_prompt(note, work.asked.transcript)
        prompt = replace(prompt, user=work.hide(judge)(prompt.user))

        def accept(text: str, _: Route) -> Judgement:
            try:
                return read_judgement(text, note, work.asked.transcript)
            except LLMError:
                pass
            raise Rejected(Failure.INVALID)

        try:
            found = await self._ask(router, work, lambda route: route.name == judge.name, lambda _: prompt, accept)
        except DiaryError as error:  # no verdict costs no note
            logger.warning("note_not_judged", key=work.asked.recording.key, code=error.code)
            return None
        return faithful(found.value)

    async def _ask(
        self,
        router: Router,
        work: Work,
        among: Callable[[Route], bool],
        prompt_for: Callable[[Route], Prompt],
        accept: Callable[[str, Route], T],
    ) -> Accepted[T]:
        recording = work.asked.recording
        try:
            accepted = await router.run(
                prompt_for,
                accept,
                recording_key=recording.key,
                owner=recording.owner,
                local_only=self._is_private(self._owners(recording.owner)),
                among=among,
                again=work.asked.again,
            )
        except NoRoute as error:
            work.attempts += error.attempts
            raise
        work.attempts += accepted.attempts
        return accepted

    def _able(self, owner: str) -> list[Route]:
        return [route for route in self._trusted(self._owners(owner)) if route.is_usable]

    def _trusted(self, owner: Owner) -> list[Route]:
        private = self._is_private(owner)
        return [route for route in self._routes if route.local or not private]

    def _kinds(self, owner: Owner) -> frozenset[bool]:
        """Whether some route's own sentences may be published; what only finds, every route can be asked for.

        Also of routes that cannot be used now: a key that is missing for a day makes no good note stale.
        """
        trusted = self._trusted(owner)
        return frozenset((False, any(route.prose for route in trusted))) if trusted else frozenset()

    def _is_private(self, owner: Owner) -> bool:
        return self._wishes.local_only or owner.local_only


def family(route: Route) -> str:
    """Name whose models a route reaches: of a server with an address of its own nobody knows more than that."""
    return route.base_url or route.provider


def _reason(error: NoRoute | Rejected | PermanentError) -> str:
    if isinstance(error, NoRoute):
        return str(error.reason)
    return str(error.kind) if isinstance(error, Rejected) else error.code
