"""The claims of all pieces of a long recording as one, without a model: the same answers give the same note.

What two pieces say stands once, where it was said first. A recording of which a piece is missing is refused, and so is
a note that tells only one end of it: half a note that looks whole is worse than none.
"""

from collections.abc import Iterable, Sequence

from diary_pipeline.core.errors import PermanentError
from diary_pipeline.core.note import NoteItem
from diary_pipeline.core.transcript import Segment
from diary_pipeline.notes.drafts.chunks import Chunk
from diary_pipeline.notes.drafts.claims import Claims, claims_of
from diary_pipeline.notes.drafts.repeats import distinct, spelt_once
from diary_pipeline.notes.drafts.schema import Claim, NoteDraft

LONG_WORDS = 750
"""Five minutes of speech; a shorter diary may well be about its beginning."""
_END = 0.2
"""Share of the words that is one end."""
_HELD = ("event", "reflection", "action", "quote")


class PieceMissing(PermanentError):
    """A long recording of which not every piece was answered; its note would be truncated."""

    def __init__(self, answered: int, pieces: int) -> None:
        super().__init__(
            "draft_truncated",
            f"Only {answered} of {pieces} pieces of a long recording were answered; it is asked again.",
        )


def merge(drafts: Sequence[NoteDraft | None], pieces: Sequence[Chunk]) -> Claims:
    """Put the claims of each piece together in order of time; PieceMissing unless every piece has its draft."""
    answered = [claims_of(draft) for draft in drafts if draft is not None]
    if len(answered) != len(pieces) or len(drafts) != len(pieces):
        raise PieceMissing(len(answered), len(pieces))
    return merged([_inside(claims, piece) for claims, piece in zip(answered, pieces, strict=True)])


def merged(parts: Iterable[Claims]) -> Claims:
    """Unite claims; of those that say the same the earliest stays."""
    parts = tuple(parts)
    return Claims(
        events=_earliest(claim for part in parts for claim in part.events),
        reflections=_earliest(claim for part in parts for claim in part.reflections),
        actions=_earliest(claim for part in parts for claim in part.actions),
        people=spelt_once(name for part in parts for name in part.people),
        places=spelt_once(name for part in parts for name in part.places),
        quotes=_once([quote for part in parts for quote in part.quotes]),
        topics=_once([topic for part in parts for topic in part.topics]),
    )


def untold_end(items: Iterable[NoteItem], speech: Sequence[Segment]) -> str | None:
    """Name the end of a long recording that a note tells nothing of, as `lines 410 to 482`; None when both are told."""
    sizes = [len(segment.text.split()) for segment in speech]
    if sum(sizes) < LONG_WORDS:
        return None
    told = {item.segment_id for item in items if item.kind in _HELD}
    for end in (_first_share(speech, sizes), _first_share(speech[::-1], sizes[::-1])[::-1]):
        if not told.intersection(segment.id for segment in end):
            return f"lines {end[0].id} to {end[-1].id}"
    return None


def _inside(claims: Claims, piece: Chunk) -> Claims:
    """The line of a claim is in the piece that was asked: elsewhere the model counted for itself."""
    first, last = piece[0].id, piece[-1].id

    def held(found: tuple[Claim, ...]) -> tuple[Claim, ...]:
        return tuple(c.model_copy(update={"segment": min(max(c.segment, first), last)}) for c in found)

    return Claims(
        held(claims.events),
        held(claims.reflections),
        held(claims.actions),
        claims.people,
        claims.places,
        claims.quotes,
        claims.topics,
    )


def _earliest(claims: Iterable[Claim]) -> tuple[Claim, ...]:
    ordered = sorted(claims, key=lambda claim: claim.segment)
    return tuple(ordered[n] for n in distinct(claim.text for claim in ordered))


def _once(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(texts[n] for n in distinct(texts))


def _first_share(speech: Sequence[Segment], sizes: Sequence[int]) -> Sequence[Segment]:
    """The segments at the beginning that hold one end's share of the words."""
    held = 0
    for number, size in enumerate(sizes, start=1):
        held += size
        if held >= _END * sum(sizes):
            return speech[:number]
    return speech
