"""What is wrong with one claim: stable codes for an item, a sentence of the summary and a title. Pure.

The router sends codes back to the model for one repair and drops what stays wrong; checks.py asks the same of what is
stored. Rules made of English words look only at segments in English; what is left for other languages is where the
words were said, names, numbers, quotes, repeats and the prompt's echo. No code: no fault was found, which is less than
"true": what was said differently without a telling word stays for judge.py.
"""

import datetime as dt
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rapidfuzz import fuzz

from diary_pipeline.core.note import NoteItem
from diary_pipeline.core.transcript import Segment
from diary_pipeline.notes.evidence.clauses import clauses
from diary_pipeline.notes.evidence.fields import misplaced
from diary_pipeline.notes.evidence.grounding import Said, names_in, names_that_act, normalise, roots
from diary_pipeline.notes.evidence.inventions import (
    currency_added,
    echoes,
    feelings_added,
    obeys,
    says_nothing,
)
from diary_pipeline.notes.evidence.named import is_no_person, is_no_place, stands_together
from diary_pipeline.notes.evidence.numbers import number_readings
from diary_pipeline.notes.evidence.strangers import strange_days, strange_relations
from diary_pipeline.notes.evidence.told_differently import taken_back, told_as_done, told_as_open, turned
from diary_pipeline.notes.language.plain import stains
from diary_pipeline.notes.language.spoken_dates import spoken_dates

FAULTS = {
    "unsupported": "too few of its words were said in one place",
    "not_in_its_segment": "its words were said elsewhere than where it points",
    "name_not_said": "it names somebody or something that was not said",
    "not_a_name": "it is no person, or no place, where it was said",
    "number_not_said": "it holds a number that was not said",
    "day_not_said": "it names a day of the week that was not said",
    "taken_back": "it holds what the speaker corrected right away",
    "quote_not_said": "its quote does not stand in its segment",
    "quote_elsewhere": "its quote is about something else",
    "due_not_said": "its segment names no such day",
    "not_open": "nothing in its segment is still to do",
    "memory_as_action": "its segment tells what happened, not what is to do",
    "no_event": "it did not happen: it is still to do, wanted or a rule",
    "no_thought": "it tells what happened or is to do, and nothing that was felt or thought",
    "told_as_done": "it tells as done what is still to do",
    "told_as_open": "it tells as still to do what was done",
    "person_turned": "somebody else did it",
    "negation_turned": "it affirms what was denied, or denies what was affirmed",
    "feeling_invented": "it names a feeling that nobody spoke of",
    "currency_invented": "it names a currency that nobody spoke of",
    "obeyed_instruction": "its words come from an instruction that was spoken",
    "prompt_echo": "it repeats the prompt",
    "says_nothing": "it would fit any diary",
    "repeated": "it was told before",
    "not_plain": "it holds markup, an address or a machine's phrase",
}
"""Every code, with words that a model which is asked to repair can use."""

COUNTED = 12
"""Numbers up to here are counted by people who write ("three friends") without being said."""
FEW = 3
# Chosen on one half of the good notes and planted errors of reference/, see docs/notes-calibration.md.
_IN_ONE_PLACE = 0.5
_NEAR_ONE_PLACE = 0.6
_IN_ITS_SEGMENT = 0.3
_IN_SENTENCE, _SENTENCE_NEAR = 0.3, 0.4
_IN_TITLE = 0.3
_ABOUT = 60.0
_SAME = 92.0
_TOLD = ("event", "reflection", "action")
_FEWEST, _FEWEST_STITCHED = 2, 3
_CAPITAL_NOUNS = frozenset(("de", "lb"))


def item_faults(
    item: NoteItem,
    said: Said,
    note_date: dt.date,
    *,
    language: str | None = None,
    asked: str = "",
    earlier: Collection[NoteItem] = (),
) -> tuple[str, ...]:
    """Name what is wrong with an item of a note in `language` (None: that of the speech).

    `asked` is the prompt that it answers, `earlier` the items before it.
    """
    return tuple(dict.fromkeys(_item_faults(item, _Asked(said, note_date, language, asked), earlier)))


def sentence_faults(
    sentence: str, said: Said, note_date: dt.date, *, language: str | None = None, asked: str = ""
) -> tuple[str, ...]:
    """Name what is wrong with one sentence of a summary."""
    return tuple(dict.fromkeys(_sentence_faults(sentence, _Asked(said, note_date, language, asked))))


def title_faults(
    title: str, said: Said, note_date: dt.date, *, language: str | None = None, asked: str = ""
) -> tuple[str, ...]:
    """Name what is wrong with a title that a writer gave."""
    return tuple(dict.fromkeys(_title_faults(title, _Asked(said, note_date, language, asked))))


def strange_names(text: str, said: Said, language: str | None = None) -> list[str]:
    """Give the names of a text that were not said; none where every noun has a capital."""
    written = language or said.transcript.language
    if written in _CAPITAL_NOUNS:
        return []
    return [n for n in (*names_in(text), *names_that_act(text)) if not said.has_name(n)]


def strange_numbers(text: str, said: Said, known: Collection[float] = ()) -> list[frozenset[float]]:
    """Give the numbers of a text, small ones apart, that were neither said nor are `known`, by their readings."""
    return [r for r in large_numbers(text) if not r & said.numbers and not r.intersection(known)]


def large_numbers(text: str) -> list[frozenset[float]]:
    """Give the numbers of a text that nobody writes without having heard them."""
    return [readings for readings in number_readings(text) if max(readings) > COUNTED]


def miscounted(text: str, said: Said, known: Collection[float] = ()) -> bool:
    """Tell whether a claim holds a number above three that nobody said: it quotes one thing, and sums nothing up."""
    return any(
        max(readings) > FEW and not readings & said.numbers and not readings.intersection(known)
        for readings in number_readings(text)
    )


def is_lifted(text: str, said: Said) -> bool:
    """Tell whether a text stands in the transcript word for word."""
    return normalise(text) in said.text


def days_of(day: dt.date) -> frozenset[float]:
    """Give the numbers that a date is written with: whoever knows the day may write it."""
    return frozenset((float(day.day), float(day.month), float(day.year)))


@dataclass(frozen=True)
class _Asked:
    """What a claim is held against."""

    said: Said
    note_date: dt.date
    language: str | None
    prompt: str

    def comparable(self, segment_id: int) -> bool:
        """Tell whether claim and segment are in one language, so that their words can be compared."""
        segment = self.said.segments.get(segment_id)
        spoken = (segment.language if segment else None) or self.said.transcript.language
        return self.language is None or spoken is None or spoken == self.language

    def english(self, segment_id: int) -> bool:
        """Tell whether English rules may read claim and segment."""
        return self.said.english(segment_id) and self.comparable(segment_id)

    def all_english(self) -> bool:
        """Tell whether the whole diary may be read so."""
        return all(map(self.english, self.said.ids))


def _item_faults(item: NoteItem, given: _Asked, earlier: Collection[NoteItem]) -> Iterator[str]:
    said = given.said
    segment = said.segments.get(item.segment_id)
    if segment is None or item.quote not in segment.text or not item.quote.strip():
        yield "quote_not_said"
    if any(e.kind == item.kind and fuzz.ratio(normalise(e.text), normalise(item.text)) >= _SAME for e in earlier):
        yield "repeated"
    yield from _text_faults(item.text, given)
    if item.kind in ("person", "place"):
        yield from _name_faults(item, given)
    if item.kind == "topic" and given.comparable(item.segment_id) and said.share(item.text, said.ids) < _IN_ONE_PLACE:
        yield "unsupported"
    if item.kind in _TOLD:
        if miscounted(item.text, said, _known(said, given.note_date)):
            yield "number_not_said"
        if says_nothing(item.text):
            yield "says_nothing"
        if given.comparable(item.segment_id):
            yield from _place_faults(item, said)
        if segment is not None:
            yield from _told_faults(item, given, segment)


def _name_faults(item: NoteItem, given: _Asked) -> Iterator[str]:
    said = given.said
    if not said.has_name(item.text) or not stands_together(item.text, said):
        yield "name_not_said"
    elif given.all_english() and (is_no_person if item.kind == "person" else is_no_place)(item.text, said):
        yield "not_a_name"


def _sentence_faults(sentence: str, given: _Asked) -> Iterator[str]:
    said = given.said
    yield from _text_faults(sentence, given)
    day = given.note_date
    sentence = re.sub(rf"\b(?:{day:%A}|{day:%B}),?", "", sentence)  # the prompt gives the day: it needs no support
    home = said.home(sentence)
    if not given.comparable(home):
        return
    if said.support(sentence) < _IN_SENTENCE and said.together(sentence) < _SENTENCE_NEAR:
        yield "unsupported"
    lifted = is_lifted(sentence, said)
    # What was lifted stands beside its correction, or is no better than what the speaker left.
    if given.english(home) and taken_back(sentence, said.segments[home].text if lifted else said.on_from(home)):
        yield "taken_back"
    if lifted:
        return
    # A sentence of a summary may join two places: each part is held against its own.
    for part in clauses(sentence):
        place = said.home(part.text) if len(roots(part.text)) >= _FEWEST else home
        if given.english(place):
            yield from turned(part.text, said, (place,), whole=sentence)
            yield from _tenses(part.text, (said.segments[place].text,))


def _title_faults(title: str, given: _Asked) -> Iterator[str]:
    said = given.said
    if says_nothing(title):
        yield "says_nothing"
        return
    yield from _text_faults(title, given)
    home, wanted = said.home(title), roots(title)
    if not given.comparable(home):
        return
    stitched = len(wanted) >= _FEWEST_STITCHED and said.together(title) < _IN_TITLE
    if said.share(title, said.ids) < _IN_TITLE or stitched:
        yield "unsupported"
    if given.english(home) and not is_lifted(title, said):
        yield from turned(title, said, (home,))


def _text_faults(text: str, given: _Asked) -> Iterator[str]:
    said = given.said
    if given.prompt and echoes(text, given.prompt, said):
        yield "prompt_echo"
    if strange_names(text, said, given.language) or (given.all_english() and strange_relations(text, said)):
        yield "name_not_said"
    if given.all_english() and strange_days(text, said, given.note_date):
        yield "day_not_said"
    if strange_numbers(text, said, _known(said, given.note_date)):
        yield "number_not_said"
    if any(stain.casefold() not in said.transcript.text.casefold() for stain in stains(text)):
        yield "not_plain"
    if obeys(text, said):
        yield "obeyed_instruction"
    if (feels := feelings_added(text, said)) | (pays := currency_added(text, said)) and given.all_english():
        yield from ["feeling_invented"] * feels + ["currency_invented"] * pays


def _place_faults(item: NoteItem, said: Said) -> Iterator[str]:
    home, there = said.home(item.text), said.share(item.text, (item.segment_id,))
    if said.share(item.text, (home,)) < _IN_ONE_PLACE and said.together(item.text) < _NEAR_ONE_PLACE:
        yield "unsupported"
    elif said.share(item.text, said.near(item.segment_id)) < _IN_ITS_SEGMENT:
        yield "not_in_its_segment"
    alike = fuzz.token_set_ratio(normalise(item.quote), normalise(item.text))
    shared = len(roots(item.text) & roots(item.quote)) / max(1, len(roots(item.text)))
    if alike < _ABOUT and max(shared, there) < _IN_ITS_SEGMENT:
        yield "quote_elsewhere"


def _told_faults(item: NoteItem, given: _Asked, segment: Segment) -> Iterator[str]:
    said = given.said
    lifted = is_lifted(item.text, said)
    if item.due_date and item.due_date not in _days_said((segment.text, item.text if lifted else ""), given.note_date):
        yield "due_not_said"
    if not given.english(segment.id):
        return
    if fault := misplaced(item.kind, item.text, segment.text, lifted=lifted):
        yield fault
    if taken_back(item.text, segment.text if lifted else said.on_from(segment.id)):
        yield "taken_back"
    if lifted:
        return
    yield from turned(item.text, said, (segment.id,))
    if item.kind == "event":
        yield from _tenses(item.text, (segment.text,))


def _tenses(text: str, sources: Sequence[str]) -> Iterator[str]:
    if told_as_done(text, sources):
        yield "told_as_done"
    if told_as_open(text, sources):
        yield "told_as_open"


def _days_said(texts: Sequence[str], note_date: dt.date) -> set[dt.date]:
    return {date.day for text in texts for date in spoken_dates(text, note_date)}


@lru_cache(maxsize=16)
def _known(said: Said, note_date: dt.date) -> frozenset[float]:
    """Numbers that a text may hold unsaid: of the day itself, which the prompt gives, and of days that were named."""
    return days_of(note_date).union(*map(days_of, _days_said([said.transcript.text], note_date)))
