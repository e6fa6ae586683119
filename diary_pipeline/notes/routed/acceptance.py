"""Whether an answer is a note: read, assembled, held against what was said, and repaired or freed of what was not.

The same functions check what is stored, so that nothing is published that would fail there. What surprises: a model is
told of its faults once. What is still wrong in its second answer is dropped, entry by entry, and an answer that is
wrong in most of them is no note at all.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from diary_pipeline.core.batch import Check
from diary_pipeline.core.note import NOT_TRANSLATED, DiaryNote, Mood
from diary_pipeline.notes.diary_time import with_diary_time
from diary_pipeline.notes.drafts.assembling import UNSUPPORTED, Assembled, assemble_draft
from diary_pipeline.notes.drafts.finding import assemble_found
from diary_pipeline.notes.drafts.merging import untold_end
from diary_pipeline.notes.drafts.parsing import Draft, DraftInvalid, parse
from diary_pipeline.notes.drafts.repair import ONLY_PARTS, Fault, advice, form_advice
from diary_pipeline.notes.drafts.schema import FoundDraft, NoteDraft
from diary_pipeline.notes.evidence.checks import check_note
from diary_pipeline.notes.evidence.clauses import sentences_of
from diary_pipeline.notes.evidence.faults import FAULTS, item_faults, sentence_faults, title_faults
from diary_pipeline.notes.providers.exchange import Failure
from diary_pipeline.notes.routed.work import Work
from diary_pipeline.notes.routing.outcome import Rejected
from diary_pipeline.notes.routing.route import Route

MOST_FAULTY = 0.5
"""Of the entries that a draft offered, and of its claims alone: above it the rest is not believed either."""
CLAIMS = frozenset(("events", "reflections", "actions"))
"""What a small model gets wrong, while the names and topics beside it are easily right."""
_NO_TOPICS = CLAIMS.union(("people", "places", "quotes"))
REPEATED = "repeated"
_VALENCE: Mapping[Mood, int] = {
    "very_negative": -2, "negative": -1, "neutral": 0, "mixed": 0, "positive": 1, "very_positive": 2,
}  # fmt: skip
ENOUGH_WORDS = 15
"""Of a summary: as many as `note_complete` asks for."""


class Acceptance:
    """Judges the answers of all routes for one note that is asked in one question."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._told: set[str] = set()
        """Routes that were told of their faults."""

    def __call__(self, text: str, route: Route) -> DiaryNote:
        """Make a note of an answer, or raise Rejected."""
        work = self._work
        prose = work.publishes(route)
        assembled = assembled_of(draft_of(text, work, prose=prose), work)
        wrong = item_faults_of(assembled, work)
        if prose and route.name not in self._told:
            self._told.add(route.name)
            faults = [*_lost(assembled), *faults_of(assembled, wrong, work)]
            # A topic in other words than were spoken is no reason to pay for a second answer.
            if any(not (where.startswith("topics") and code == UNSUPPORTED) for where, code in faults):
                raise Rejected(Failure.UNGROUNDED, advice(text, faults, FAULTS))
        return settled(assembled, work, wrong, prose=prose)


def draft_of(text: str, work: Work, *, prose: bool) -> NoteDraft | FoundDraft:
    """Read an answer to the whole question; Rejected when it is none."""
    return restored(text, NoteDraft, work) if prose else restored(text, FoundDraft, work)


def assembled_of(draft: NoteDraft | FoundDraft, work: Work) -> Assembled:
    """Put an answer to the whole question together with what was said."""
    if isinstance(draft, FoundDraft):
        return assemble_found([draft], work.assignment(prose=False), work.spoken, work.offline_note)
    return assemble_draft(draft, work.assignment(prose=True), work.spoken)


def restored(text: str, shape: type[Draft], work: Work) -> Draft:
    """Read an answer as a draft with everything in it that was hidden; Rejected when it is none."""
    try:
        draft = parse(text, shape)
    except DraftInvalid as error:
        told = form_advice(error.fields)
    else:
        return work.redaction.restored(draft)
    raise Rejected(Failure.INVALID, told)  # out here: the error's context holds the answer


def settled(
    assembled: Assembled, work: Work, found: Sequence[tuple[int, str]] | None = None, *, prose: bool
) -> DiaryNote:
    """Drop what is not supported and give the note that is left; Rejected when it may not be published.

    `found` are the faults of its items, where somebody has looked already.
    """
    note, found = assembled.note, item_faults_of(assembled, work) if found is None else found
    faulty = {item_id for item_id, code in found if code != REPEATED}  # a repeat is dull, not untrue
    dropped = {item_id for item_id, _ in found}
    kept = [item for item in note.items if item.id not in dropped]
    if prose and any(_mostly_wrong(assembled, faulty, fields) for fields in (_NO_TOPICS, CLAIMS)):
        raise Rejected(Failure.UNGROUNDED)
    note = replace(note, items=tuple(replace(item, id=n) for n, item in enumerate(kept)))
    if prose:
        note = replace(note, summary=_summary(note, work), title=_title(note, work), mood=_mood(note, work))
    note = with_diary_time(note, work.asked.transcript)
    failed = [c for c in checks_of(note, work) if not c.passed and c.severity == "ERROR"]
    if failed or (prose and untold_end(note.items, work.asked.transcript.speech)):
        raise Rejected(Failure.UNGROUNDED)
    return note


def _mostly_wrong(assembled: Assembled, faulty: Collection[int], fields: Collection[str]) -> bool:
    """Tell whether most of what a draft offered in some fields is not so."""
    lost = sum(lost.place.field in fields for lost in assembled.lost)
    kept = {item_id for item_id, place in assembled.places.items() if place.field in fields}
    return lost + len(kept.intersection(faulty)) > MOST_FAULTY * (lost + len(kept))


def checks_of(note: DiaryNote, work: Work, judged: Check | None = None) -> tuple[Check, ...]:
    """Make the checks that the note will have to pass when it is stored."""
    _, wanted = work.offline.form(work.asked)
    return check_note(
        note,
        work.asked.transcript,
        work.asked.recording.recorded_at.day,
        given_title=work.given_title,
        language=None if NOT_TRANSLATED in note.limits else wanted,
        judged=judged,
        said=work.said,
    )


def _summary(note: DiaryNote, work: Work) -> str:
    """The sentences without a fault; where too little is left, the speaker's own words say what no model's may."""
    told = sentences_of(note.summary)
    kept = [sentence for sentence in told if not _sentence_faults(sentence, note, work)]
    if len(kept) == len(told):
        return note.summary
    return " ".join(kept) if sum(len(s.split()) for s in kept) >= ENOUGH_WORDS else work.offline_note.summary


def _mood(note: DiaryNote, work: Work) -> Mood:
    """The mood that the model felt, unless what was said has quite another one: nothing else holds it to the words."""
    said = work.offline_note.mood
    return said if work.is_readable and abs(_VALENCE[note.mood] - _VALENCE[said]) >= 2 else note.mood


def _title(note: DiaryNote, work: Work) -> str:
    return work.offline_note.title if _title_faults(note, work) else note.title


def _lost(assembled: Assembled) -> Iterator[Fault]:
    for lost in assembled.lost:
        yield f"{lost.place.field} {lost.place.index}", lost.code


def faults_of(assembled: Assembled, found: Sequence[tuple[int, str]], work: Work) -> Iterator[Fault]:
    note = assembled.note
    for item_id, code in found:
        place = assembled.places[item_id]
        yield f"{place.field} {place.index}", code
    for sentence in sentences_of(note.summary):
        for code in _sentence_faults(sentence, note, work):
            yield "summary", code
    for code in _title_faults(note, work):
        yield "title", code
    if untold_end(note.items, work.asked.transcript.speech):
        yield "draft", ONLY_PARTS


def item_faults_of(assembled: Assembled, work: Work) -> list[tuple[int, str]]:
    """Give item id and code, by item; only of what a model claimed, the offline writer's own items are lifted."""
    note = assembled.note
    return [
        (item.id, code)
        for n, item in enumerate(note.items)
        if item.id in assembled.places
        for code in item_faults(
            item, work.said, note.note_date, language=note.language, asked=work.rules, earlier=note.items[:n]
        )
    ]


def _sentence_faults(sentence: str, note: DiaryNote, work: Work) -> Sequence[str]:
    return sentence_faults(sentence, work.said, note.note_date, language=note.language, asked=work.rules)


def _title_faults(note: DiaryNote, work: Work) -> Sequence[str]:
    if work.given_title and work.given_title.strip():
        return ()
    return title_faults(note.title, work.said, note.note_date, language=note.language, asked=work.rules)
