"""Long recordings: cut at pauses, asked piece by piece, put together without loss, refused when an end is missing."""

import dataclasses
import datetime as dt
import re
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diary_pipeline.core.recording import RecordedAt
from diary_pipeline.core.transcript import Segment, Transcript
from diary_pipeline.notes.drafts.assembling import Assembled, assemble
from diary_pipeline.notes.drafts.assignment import Assignment
from diary_pipeline.notes.drafts.chunks import MOST_TOKENS, Chunk, chunks, question_bytes
from diary_pipeline.notes.drafts.claims import Claims, claims_of
from diary_pipeline.notes.drafts.merging import PieceMissing, merge, merged, untold_end
from diary_pipeline.notes.drafts.prompt import head_prompt, line_of, note_prompt
from diary_pipeline.notes.drafts.schema import Claim, HeadDraft, NoteDraft
from diary_pipeline.notes.drafts.spoken import Spoken
from diary_pipeline.notes.evidence.checks import quotes_verbatim
from diary_pipeline.notes.providers.exchange import Prompt
from diary_pipeline_tests.builders import make_transcript

DAY = dt.date(2026, 3, 4)
RECORDED = RecordedAt(dt.datetime(2026, 3, 4, 20, 14, tzinfo=dt.UTC), "UTC", "file_name", 0.9, DAY)
MINUTE = ("We walked on along the river and talked about the old days and the weather.",) * 10
OPENING = "I found Grandpa's silver watch behind the piano."
ENDING = "I need to return the violin to Beatrix by Friday."


def ninety_minutes() -> Transcript:
    """Return ninety minutes of speech, with a fact in the first minute and one in the last."""
    said = [f"{text} {n}." for n in range(90) for text in MINUTE]
    return make_transcript([*said[:3], OPENING, *said[3:-3], ENDING, *said[-3:]])


def answer(prompt: Prompt, *, sees: Callable[[str], bool] = bool) -> NoteDraft:
    """Answer as an honest model would that reads the lines that it `sees`."""
    lines = [(int(n), said) for n, said in re.findall(r"^\[(\d+)\] (.*)$", prompt.user, re.MULTILINE) if sees(said)]
    facts = [(n, said) for n, said in lines if said in (OPENING, ENDING)] or lines[:1]
    claims = tuple(Claim(text=said, quote=said, segment=n) for n, said in facts)
    return NoteDraft(
        events=tuple(c for c in claims if c.text != ENDING),
        reflections=(),
        actions=tuple(c for c in claims if c.text == ENDING),
        people=("Beatrix",) if any(c.text == ENDING for c in claims) else (),
        places=(),
        topics=(),
        quotes=(),
        said_date=None,
        mood="neutral",
        summary="We walked.",
        title="A walk",
    )


def written(transcript: Transcript, pieces: Sequence[Chunk], drafts: Sequence[NoteDraft | None]) -> Assembled:
    """Merge and assemble what the pieces answered, under a head that a model might write."""
    assignment = Assignment(transcript, RECORDED, "note-1", "0" * 16)
    claims = merge(drafts, pieces)
    shown = head_prompt(assignment, claims).user
    assert all(claim.text in shown for claim in (*claims.events, *claims.actions))
    head = HeadDraft(
        mood="positive", topics=(), summary="I found the watch and walked by the river.", title="The watch"
    )
    return assemble(claims, head, assignment, Spoken(transcript, RECORDED))


def asked(transcript: Transcript, pieces: Sequence[Chunk]) -> list[Prompt]:
    """Return the question for each piece."""
    assignment = Assignment(transcript, RECORDED, "note-1", "0" * 16)
    return [note_prompt(assignment, piece, part=(n, len(pieces))) for n, piece in enumerate(pieces, start=1)]


@pytest.mark.parametrize("context_tokens", [8_192, 32_768, 128_000])
def test_both_ends(context_tokens: int) -> None:
    transcript = ninety_minutes()
    pieces = chunks(transcript.speech, question_bytes(context_tokens))
    made = written(transcript, pieces, [answer(prompt) for prompt in asked(transcript, pieces)])
    told = {item.text: item for item in made.note.items}
    assert told[OPENING].end_s < 60
    assert told[ENDING].start_s > transcript.duration_s - 60
    assert told[ENDING].due_date == dt.date(2026, 3, 6)
    assert told["Beatrix"].quote == ENDING
    assert quotes_verbatim(made.note, transcript).passed
    assert untold_end(made.note.items, transcript.speech) is None


@pytest.mark.parametrize("missing", [0, 2, -1])
def test_a_recording_with_a_missing_piece_is_refused(missing: int) -> None:
    transcript = ninety_minutes()
    pieces = chunks(transcript.speech, 20_000)
    assert len(pieces) > 3
    drafts: list[NoteDraft | None] = [answer(prompt) for prompt in asked(transcript, pieces)]
    without = [draft for n, draft in enumerate(drafts) if n != missing % len(drafts)]
    drafts[missing] = None
    for some in (drafts, without):
        with pytest.raises(PieceMissing, match=f"{len(pieces) - 1} of {len(pieces)}") as refused:
            merge(some, pieces)
        assert refused.value.code == "draft_truncated"


@pytest.mark.parametrize(
    ("sees", "why"),
    [
        (lambda said: said.endswith((" 0.", " 1.")) or said == OPENING, "the server cut the prompt behind two minutes"),
        (lambda said: said.endswith((" 88.", " 89.")) or said == ENDING, "or kept only its end"),
    ],
)
def test_a_note_of_one_end_is_refused_as_truncated(sees: Callable[[str], bool], why: str) -> None:
    transcript = ninety_minutes()
    pieces = chunks(transcript.speech, question_bytes(1_000_000))
    assert len(pieces) == 1
    made = written(transcript, pieces, [answer(asked(transcript, pieces)[0], sees=sees)])
    assert re.fullmatch(r"lines \d+ to \d+", untold_end(made.note.items, transcript.speech) or ""), why


def test_a_short_diary_may_be_about_its_beginning() -> None:
    transcript = make_transcript([OPENING, *MINUTE])
    made = written(transcript, [transcript.speech], [answer(asked(transcript, [transcript.speech])[0])])
    assert untold_end(made.note.items, transcript.speech) is None


@pytest.mark.parametrize(("context_tokens", "tokens"), [(8_000, 4_800), (32_768, 19_660), (1_000_000, MOST_TOKENS)])
def test_a_question_takes_part_of_a_context_and_never_more_than_is_remembered(context_tokens: int, tokens: int) -> None:
    assert question_bytes(context_tokens) == 2 * tokens


def test_a_piece_ends_at_the_longest_pause_near_its_size() -> None:
    speech = [Segment(n, n * 10.0, n * 10.0 + 9.0, "speech", "x" * 94) for n in range(20)]
    late = [dataclasses.replace(s, start_s=s.start_s + 60, end_s=s.end_s + 60) for s in speech[11:]]
    assert [len(piece) for piece in chunks([*speech[:11], *late], 1_200)] == [11, 9]
    assert [len(piece) for piece in chunks(speech, 10_000)] == [20]


_SPEECH = st.lists(st.tuples(st.integers(1, 300), st.integers(0, 30)), min_size=1, max_size=60)


@given(_SPEECH, st.integers(40, 2_000))
def test_pieces_hold_everything_once_in_order_and_fit(said: list[tuple[int, int]], most_bytes: int) -> None:
    speech, at = [], 0.0
    for n, (length, pause_s) in enumerate(said):
        speech.append(Segment(n, at, at + 1, "speech", "ä" * length))
        at += 1 + pause_s
    pieces = chunks(speech, most_bytes)
    assert [segment for piece in pieces for segment in piece] == speech
    for piece in pieces:
        assert len(piece) == 1 or sum(len(line_of(s).encode()) + 1 for s in piece) <= most_bytes


_TEXTS = st.sampled_from(
    ("I met Priya.", "I met Priya in Lisbon.", "I did not meet Priya.", "Rent is 500.", "Rent is 600.", "I slept.")
)
_CLAIMS = st.lists(st.builds(Claim, text=_TEXTS, quote=_TEXTS, segment=st.integers(0, 40)), max_size=6).map(tuple)
_NAMES = st.lists(st.sampled_from(("Anna", "Anna Weber", "Tom", "anna weber")), max_size=4).map(tuple)
_PARTS = st.lists(
    st.builds(Claims, events=_CLAIMS, actions=_CLAIMS, people=_NAMES, quotes=st.lists(_TEXTS, max_size=3).map(tuple)),
    max_size=5,
)


@given(_PARTS)
def test_merging_keeps_order_loses_no_claim_and_changes_nothing_the_second_time(parts: list[Claims]) -> None:
    once = merged(parts)
    assert merged([once]) == once
    for field in ("events", "actions"):
        given_claims = [claim for part in parts for claim in getattr(part, field)]
        kept = getattr(once, field)
        assert all(a.segment <= b.segment for a, b in pairwise(kept))
        assert set(kept) <= set(given_claims)
        # What turns a claim over, a number or a "not", is never merged away.
        for turn in ("not", "500", "600"):
            assert any(turn in c.text for c in given_claims) == any(turn in c.text for c in kept)
        assert not given_claims or min(c.segment for c in given_claims) == kept[0].segment


def test_of_two_claims_that_say_the_same_the_earlier_stays() -> None:
    early = Claim(text="I met Priya in Lisbon.", quote="met Priya", segment=3)
    late = Claim(text="In Lisbon I met Priya", quote="Priya", segment=90)
    assert merged([Claims(events=(late,)), Claims(events=(early,))]).events == (early,)


def test_a_line_outside_its_piece_is_drawn_into_it() -> None:
    transcript = make_transcript(["One thing.", "Another thing.", "A third thing."])
    pieces = chunks(transcript.speech, 30)
    drafts = [answer(prompt) for prompt in asked(transcript, pieces)]
    far = drafts[1].model_copy(update={"events": (drafts[1].events[0].model_copy(update={"segment": 0}),)})
    assert claims_of(far).events[0].segment == 0
    assert merge([drafts[0], far, drafts[2]], pieces).events[1].segment == pieces[1][0].id
