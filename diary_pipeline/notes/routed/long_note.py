"""The note of a recording that no question may hold whole: asked piece by piece, put together by rules, then headed.

Cutting and putting together are drafts/chunks.py's and drafts/merging.py's. The surprise: a piece that is not answered
refuses the whole note. Half a note that looks whole is worse than the offline writer's.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, Protocol, TypeVar

from diary_pipeline.core.note import DiaryNote
from diary_pipeline.notes.drafts.assembling import assemble
from diary_pipeline.notes.drafts.chunks import Chunk, chunks
from diary_pipeline.notes.drafts.finding import assemble_found
from diary_pipeline.notes.drafts.merging import merge
from diary_pipeline.notes.drafts.prompt import head_prompt
from diary_pipeline.notes.drafts.repair import advice
from diary_pipeline.notes.drafts.schema import Claim, FoundDraft, HeadDraft, NoteDraft
from diary_pipeline.notes.evidence.faults import FAULTS
from diary_pipeline.notes.providers.exchange import Failure, Prompt
from diary_pipeline.notes.routed.acceptance import faults_of, restored, settled
from diary_pipeline.notes.routed.work import Work
from diary_pipeline.notes.routing.outcome import Accepted, Rejected
from diary_pipeline.notes.routing.route import Route

T = TypeVar("T")
Draft = TypeVar("Draft", NoteDraft, FoundDraft)
MOST_UNSAID = 1 / 3
"""Of a piece's quotes: more that nobody said, and the model is told."""


class Ask(Protocol):
    """The router, for one recording and among the routes that may be asked."""

    async def __call__(self, prompt_for: Callable[[Route], Prompt], accept: Callable[[str, Route], T]) -> Accepted[T]:
        """Give the first acceptable answer; NoRoute where there is none."""
        ...


async def long_note(ask: Ask, work: Work, context_tokens: int, *, prose: bool) -> DiaryNote:
    """Write the note; NoRoute or Rejected where it cannot be."""
    room = max(1, work.room(context_tokens, prose=prose))
    pieces = chunks(work.asked.transcript.speech, room, work.redaction.hide)
    assignment = work.assignment(prose=prose, long=True)
    if not prose:
        found = await _all(_piece(ask, work, FoundDraft, pieces, n) for n in range(len(pieces)))
        assembled = assemble_found(found, assignment, work.spoken, work.offline_note)
        return settled(assembled, work, prose=False)
    claims = merge(await _all(_piece(ask, work, NoteDraft, pieces, n) for n in range(len(pieces))), pieces)
    told: set[str] = set()

    def accept(text: str, route: Route) -> DiaryNote:
        assembled = assemble(claims, restored(text, HeadDraft, work), assignment, work.spoken)
        faults = [fault for fault in faults_of(assembled, (), work) if fault[0] in ("summary", "title")]
        if faults and route.name not in told:
            told.add(route.name)
            raise Rejected(Failure.UNGROUNDED, advice(text, faults, FAULTS))
        return settled(assembled, work, prose=True)

    def asked(route: Route) -> Prompt:
        return head_prompt(assignment, claims, hide=work.hide(route), most_bytes=room)

    return (await ask(asked, accept)).value


async def _all(questions: Iterable[Coroutine[Any, Any, Draft]]) -> list[Draft]:
    """Answers to all, or the first failure; then nobody goes on asking, and paying, for a note that will not be."""
    tasks = [asyncio.ensure_future(question) for question in questions]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


async def _piece(ask: Ask, work: Work, shape: type[Draft], pieces: Sequence[Chunk], number: int) -> Draft:
    told: set[str] = set()

    def accept(text: str, route: Route) -> Draft:
        draft = restored(text, shape, work)
        unsaid = _unsaid(draft, work)
        if unsaid and route.name not in told:
            told.add(route.name)
            raise Rejected(Failure.UNGROUNDED, advice(text, unsaid, FAULTS))
        return draft

    part = (number + 1, len(pieces))
    return (await ask(lambda route: work.prompt(route, pieces[number], part), accept)).value


def _unsaid(draft: NoteDraft | FoundDraft, work: Work) -> list[tuple[str, str]]:
    """The entries whose quotes nobody said, where they are too many to be dropped in silence."""
    if isinstance(draft, FoundDraft):
        return []  # its texts only find sentences
    entries: list[tuple[str, Claim]] = [
        (f"{name} {n}", claim)
        for name in ("events", "reflections", "actions")
        for n, claim in enumerate(getattr(draft, name))
    ]
    unsaid = [(where, "quote_not_said") for where, claim in entries if work.spoken.snapper.snap(claim.quote) is None]
    return unsaid if len(unsaid) > MOST_UNSAID * len(entries) else []
