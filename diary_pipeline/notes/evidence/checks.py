"""The claims that a note makes about itself, each of which can be false. Pure: note and transcript in, findings out.

They are the gate of the note stage, and what `note_is_supported` and `note_is_fit` gather; the router asks the same
of a draft. What is wrong with a single claim is faults.py's business. `faithful` is the one that no rule here can
make: it is there when a judge judged, see judge.py.
"""

import datetime as dt
from collections.abc import Sequence
from typing import get_args

from diary_pipeline.core.batch import Check
from diary_pipeline.core.note import DiaryNote, Mood, NoteItem
from diary_pipeline.core.transcript import Segment, Transcript
from diary_pipeline.notes.evidence.clauses import sentences_of
from diary_pipeline.notes.evidence.faults import (
    FAULTS,
    days_of,
    item_faults,
    large_numbers,
    sentence_faults,
    strange_names,
    strange_numbers,
    title_faults,
)
from diary_pipeline.notes.evidence.grounding import Said, names_in
from diary_pipeline.notes.evidence.inventions import obeys
from diary_pipeline.notes.language.plain import stains
from diary_pipeline.notes.language.spoken_dates import OPENING_SEGMENTS, diary_day, spoken_dates
from diary_pipeline.notes.writer import note_language

NOTE_IS_SUPPORTED = (
    "quotes_verbatim",
    "names_supported",
    "numbers_supported",
    "dates_supported",
    "summary_supported",
    "plain_text",
    "faithful",
)
"""`faithful` only where a judge judged."""
NOTE_IS_FIT = ("note_complete", "coverage", "compression", "not_degraded", "cost_in_budget")

_CLOCK_SLACK_S = 0.05
"""Times are stored with two decimals."""
_LONG_S = 300.0
# Chosen in docs/notes-calibration.md: a note of another recording has a mean below, a good one hardly ever.
_MEAN, _WEAK = 0.28, 0.2
_TURNED = frozenset(FAULTS) - {"quote_not_said", "name_not_said", "number_not_said", "due_not_said", "not_plain"}
"""What the other checks do not count."""


def check_note(
    note: DiaryNote,
    transcript: Transcript,
    recorded_day: dt.date,
    *,
    given_title: str | None = None,
    usd_per_audio_hour: float = 0.0,
    language: str | None = None,
    judged: Check | None = None,
    said: Said | None = None,
) -> tuple[Check, ...]:
    """Make every check of a note.

    `given_title` is the owner's own and needs no support; `language` is the one the owner wants notes in (None: that
    of the speech); `judged` is what a judge found, if one was asked; `said` is the transcript, where it is
    indexed already.
    """
    said = said or Said(transcript)
    texts = _texts(note, given_title)
    return (
        quotes_verbatim(note, transcript),
        names_supported(note, said, texts),
        numbers_supported(said, texts, note, recorded_day),
        dates_supported(note, transcript, recorded_day),
        summary_supported(note, said, given_title),
        plain_text(note, said, texts),
        *([judged] if judged else []),
        note_complete(note, transcript, said, language or note_language(transcript)),
        coverage(note, transcript, said),
        compression(note, said),
        not_degraded(note),
        cost_in_budget(note, transcript, usd_per_audio_hour),
    )


def quotes_verbatim(note: DiaryNote, transcript: Transcript) -> Check:
    """Every quote stands word for word in its segment, and its times lie inside."""
    segments = {s.id: s for s in transcript.segments}
    wrong = [i.id for i in note.items if not _stands(i, segments.get(i.segment_id))]
    return _check("quotes_verbatim", not wrong, "ERROR", f"{len(wrong)} of {len(note.items)} items")


def names_supported(note: DiaryNote, said: Said, texts: Sequence[str]) -> Check:
    """Every person, place and capitalised word was said."""
    given = {i.text for i in (*note.of("person"), *note.of("place"))}
    strange = {n for t in texts for n in strange_names(t, said, note.language)}
    told = {n for t in texts for n in names_in(t)} | given
    return _supported("names_supported", len(told), len(strange | {n for n in given if not said.has_name(n)}))


def numbers_supported(said: Said, texts: Sequence[str], note: DiaryNote, recorded_day: dt.date) -> Check:
    """Every number was said; small ones may be counted, and the day of the note is known."""
    days = (recorded_day, note.note_date, *(i.due_date for i in note.items if i.due_date))
    known = frozenset[float]().union(*map(days_of, days))
    told = {n for text in texts for n in large_numbers(text)}
    strange = {n for text in texts for n in strange_numbers(text, said, known)}
    return _supported("numbers_supported", len(told), len(strange))


def dates_supported(note: DiaryNote, transcript: Transcript, recorded_day: dt.date) -> Check:
    """The note is dated by recording or speech, and every due date was said beside its to-do."""
    opening = " ".join(s.text for s in transcript.speech[:OPENING_SEGMENTS])
    dated = note.note_date in (recorded_day, diary_day(opening, recorded_day))
    due = [i for i in note.items if i.due_date]
    unsaid = sum(i.due_date not in _dates_near(i, transcript, note.note_date) for i in due)
    return _check("dates_supported", dated and not unsaid, "ERROR", f"{unsaid} of {len(due)} due dates, dated: {dated}")


def summary_supported(note: DiaryNote, said: Said, given_title: str | None = None) -> Check:
    """What title, summary and items tell was told in one place each, and told so."""
    spoken = note_language(said.transcript)
    if note.language != spoken:
        # Words of two languages cannot be compared: such a note is for a judge.
        return _check("summary_supported", False, "WARN", f"written in {note.language}, spoken in {spoken}")
    told = sentences_of(note.summary)
    supports = [said.support(s) for s in told] or [0.0]
    mean, weak = sum(supports) / len(supports), sum(s < _WEAK for s in supports) / len(supports)
    turned = sum(bool(_TURNED.intersection(sentence_faults(s, said, note.note_date))) for s in told)
    if not (given_title and given_title.strip()):
        turned += bool(_TURNED.intersection(title_faults(note.title, said, note.note_date)))
    # The offline writer lifts what it lifts; a sentence that would fit any diary is dull there, and not untrue.
    doubted = _TURNED - {"says_nothing"} if note.writer == "offline" else _TURNED
    items = sum(bool(doubted.intersection(item_faults(i, said, note.note_date))) for i in note.items)
    claims = len(told) + 1 + len(note.items)
    fails = mean < _MEAN or weak > 0.5 or turned + items > 0.5 * claims
    doubtful = weak > 0.25 or min(supports) < 0.12 or turned or items
    detail = f"mean support {mean:.2f}, weakest {min(supports):.2f}, told differently {turned}, doubtful items {items}"
    return _check("summary_supported", not (fails or doubtful), "ERROR" if fails else "WARN", detail)


def plain_text(note: DiaryNote, said: Said, texts: Sequence[str]) -> Check:
    """No address, markup or machine's phrase that was not said, and nothing that a spoken order put there."""
    spoken = said.transcript.text.casefold()
    added = sum(stain.casefold() not in spoken for text in texts for stain in stains(text))
    # The offline writer obeys nobody; it lifts a sentence that gives orders as it lifts any other.
    obeyed = sum(obeys(text, said) for text in texts) if note.writer == "llm" else 0
    return _check("plain_text", not (added or obeyed), "ERROR", f"{added} places, {obeyed} obeyed orders")


def note_complete(note: DiaryNote, transcript: Transcript, said: Said, language: str) -> Check:
    """Title, summary, mood and language are there and make sense."""
    missing = [
        name
        for name, there in (
            ("title", (3 if said.count >= 3 else 1) <= len(note.title) <= 90),
            ("summary", len(note.summary.split()) >= (15 if _spoken_words(transcript) >= 60 else 1)),
            ("mood", note.mood in get_args(Mood)),
            ("language", note.language == language),
        )
        if not there
    ]
    return _check("note_complete", not missing, "ERROR", ", ".join(missing))


def coverage(note: DiaryNote, transcript: Transcript, said: Said) -> Check:
    """The note takes up what the recording keeps saying, and not its beginning alone."""
    share = said.coverage(" ".join([note.title, note.summary, *(i.text for i in note.items)]))
    thirds = {min(2, int(3 * i.start_s / max(transcript.duration_s, 0.1))) for i in note.items}
    enough = len(thirds) >= 2 or transcript.duration_s <= _LONG_S
    return _check("coverage", share >= 0.08 and enough, "WARN", f"share {share:.2f}, thirds {len(thirds)}")


def compression(note: DiaryNote, said: Said) -> Check:
    """The summary is shorter than the entry, by how much depends on its length."""
    words = len(note.summary.split())
    most = 1.0 if said.count < 60 else 0.75 if said.count < 150 else 0.5
    fits = words <= max(most * said.count, 15) and words <= 250
    return _check("compression", fits, "WARN", f"{words} words of {said.count}")


def not_degraded(note: DiaryNote) -> Check:
    """The configured writer wrote it, not its stand-in."""
    return _check("not_degraded", not note.degraded, "WARN", f"writer {note.writer}")


def cost_in_budget(note: DiaryNote, transcript: Transcript, usd_per_audio_hour: float) -> Check:
    """The note cost no more for its hour of audio than its owner allows; what has no price cannot be shown to."""
    if note.cost_usd is None:
        return _check("cost_in_budget", False, "WARN", "unpriced")
    spent = note.cost_usd * 3600 / max(transcript.duration_s, 1.0)
    detail = f"{spent:.4f} of {usd_per_audio_hour:.4f} USD an hour"
    return _check("cost_in_budget", spent <= usd_per_audio_hour, "WARN", detail)


def _check(name: str, passed: bool, severity: str, detail: str) -> Check:
    return Check(name, passed, "WARN" if severity == "WARN" else "ERROR", detail)


def _supported(name: str, told: int, unsaid: int) -> Check:
    severe = unsaid >= 2 or unsaid > 0.2 * told
    return _check(name, not unsaid, "ERROR" if severe or not unsaid else "WARN", f"{unsaid} of {told} not said")


def _texts(note: DiaryNote, given_title: str | None) -> list[str]:
    title = [] if given_title and given_title.strip() else [note.title]
    return [*title, note.summary, *(i.text for i in note.items)]


def _stands(item: NoteItem, segment: Segment | None) -> bool:
    if segment is None or not item.quote.strip() or item.quote not in segment.text:
        return False
    return segment.start_s - _CLOCK_SLACK_S <= item.start_s < item.end_s <= segment.end_s + _CLOCK_SLACK_S


def _dates_near(item: NoteItem, transcript: Transcript, day: dt.date) -> set[dt.date]:
    speech = transcript.speech
    at = next((n for n, s in enumerate(speech) if s.id == item.segment_id), None)
    if at is None:
        return set()
    near = " ".join(s.text for s in speech[max(0, at - 1) : at + 2])
    # A sentence may run over more segments than its quote's neighbours; what was said in one piece counts whole.
    said = item.text if item.text in transcript.text else ""
    return {date.day for text in (near, said) for date in spoken_dates(text, day)}


def _spoken_words(transcript: Transcript) -> int:
    return len(transcript.text.split())
