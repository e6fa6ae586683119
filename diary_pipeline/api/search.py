"""Search by words over what is published, and no further than the caller may see.

What surprises: a hit is shown only while the ledger knows its recording. The published file still holds what was erased
a moment ago, and here it must be gone at once.
"""

import datetime as dt
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from diary_pipeline.api.auth import Asking
from diary_pipeline.api.parts import Given
from diary_pipeline.api.problems import Problem, answers
from diary_pipeline.catalogue.search_hits import CLOSE, OPEN
from diary_pipeline.catalogue.search_hits import Hit as FoundHit
from diary_pipeline.catalogue.search_ranking import Filters
from diary_pipeline.core.errors import NotFound
from diary_pipeline.ledger import recordings
from diary_pipeline.ledger.clock import clock_now
from diary_pipeline.ledger.publications import published_watermark

router = APIRouter(tags=["search"])
MOST_FOUND = 100
LONGEST_QUESTION = 500


class Hit(BaseModel):
    """A recording with its best passage."""

    recording_key: str
    user_id: str
    day: dt.date
    title: str
    kind: Literal["segment", "item", "note"] = Field(description="Where the passage stands.")
    snippet: str
    marks: list[tuple[int, int]] = Field(description="Start and end of each word that was found, in `snippet`.")
    start_s: float | None = Field(description="Second to listen to; null: the passage has no single moment.")
    end_s: float | None
    segment_id: int | None
    score: float = Field(description="Larger is better, within one search.")
    found: Literal["words", "other_form"]


class SearchResult(BaseModel):
    """What was found, best first."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "hits": [
                    {
                        "recording_key": "2026-05-01-2026-05-01-3f2a9c0d1e7b",
                        "user_id": "me",
                        "day": "2026-05-01",
                        "title": "By the river",
                        "kind": "segment",
                        "snippet": "I walked by the river.",
                        "marks": [[16, 21]],
                        "start_s": 0.0,
                        "end_s": 2.1,
                        "segment_id": 0,
                        "score": 1.2,
                        "found": "words",
                    }
                ],
                "is_behind": False,
                "is_cut": False,
            }
        }
    )

    hits: list[Hit]
    is_behind: bool = Field(description="More was committed than the search knows; the next publish brings it.")
    is_cut: bool = Field(description="So many recordings have these words that only the latest were ranked.")


@router.get("/search", operation_id="search", responses=answers(401, 403, 405, 422, 429, 503))
def search(  # noqa: PLR0917 - the framework's way to declare a query
    parts: Given,
    caller: Asking,
    q: Annotated[
        str,
        Query(
            description='Words that must all be there; "a phrase", begin*, -not, OR between two of them.',
            min_length=1,
            max_length=LONGEST_QUESTION,
            examples=["river bread"],
        ),
    ],
    user_id: Annotated[str | None, Query(min_length=1, max_length=64)] = None,
    since: Annotated[dt.date | None, Query(description="First day.")] = None,
    until: Annotated[dt.date | None, Query(description="Last day.")] = None,
    person: Annotated[str | None, Query(max_length=200, description="Only notes that name this person.")] = None,
    topic: Annotated[str | None, Query(max_length=200, description="Only notes with this topic.")] = None,
    language: Annotated[str | None, Query(max_length=8, description="Spoken or written in, as `en`.")] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_FOUND)] = 20,
) -> SearchResult:
    """Search notes and what was said, best first, with the second to listen to."""
    caller.require("read")
    if any("\0" in said for said in (q, user_id, person, topic, language) if said):
        raise Problem(422, "request_invalid", "The question holds a NUL character.")
    if caller.owner is not None and user_id not in (None, caller.owner):
        return SearchResult(hits=[], is_behind=False, is_cut=False)
    first, last = (day.isoformat() if day else None for day in (since, until))
    filters = Filters(caller.owner or user_id, first, last, person, topic, language.lower() if language else None)
    try:
        found = parts.search(q, filters, limit)
    except NotFound:  # nothing was published yet
        return SearchResult(hits=[], is_behind=True, is_cut=False)
    with parts.ledger.reading() as conn:
        there = recordings.known(conn, [hit.recording_key for hit in found.hits])
        is_behind = found.is_behind or published_watermark(conn) < clock_now(conn)
    hits = [_shown(hit) for hit in found.hits if hit.recording_key in there]
    return SearchResult(hits=hits, is_behind=is_behind, is_cut=found.is_cut)


def _shown(hit: FoundHit) -> Hit:
    snippet, marks = _unmarked(hit.snippet)
    return Hit(
        recording_key=hit.recording_key,
        user_id=hit.user_id,
        day=dt.date.fromisoformat(hit.day),
        title=hit.title,
        kind=hit.kind,
        snippet=snippet,
        marks=marks,
        start_s=hit.start_s,
        end_s=hit.end_s,
        segment_id=hit.segment_id,
        score=round(hit.score, 6),
        found="other_form" if hit.is_near else "words",
    )


def _unmarked(text: str) -> tuple[str, list[tuple[int, int]]]:
    plain, marks = "", []
    for n, part in enumerate(text.split(OPEN)):
        found, mark, rest = part.partition(CLOSE)
        if n and mark:
            marks.append((len(plain), len(plain) + len(found)))
        plain += found + rest
    return plain, marks
