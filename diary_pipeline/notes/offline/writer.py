"""The writer that needs no model: every claim is lifted from the transcript, word for word, with its time.

It cannot rephrase, so it cannot lie; it can only choose badly. Each choice lives beside this file: picking.py (what
tells most), cues.py (what a sentence is), names.py, topics.py, spoken_dates.py, titles.py, mood.py. Cue rules read
English, sentence by sentence; of what was said in other languages it keeps title, summary, quotes and topics, and says
so in `limits`.
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Literal

from diary_pipeline.core.note import ENGLISH_CUES_ONLY, NOT_TRANSLATED, DiaryNote, ItemKind, Mood, NoteItem
from diary_pipeline.core.recording import RecordedAt
from diary_pipeline.core.transcript import Transcript
from diary_pipeline.notes.diary_time import with_diary_time
from diary_pipeline.notes.language.cues import Told, leans_back, statements, told
from diary_pipeline.notes.language.mood import feeling, mood
from diary_pipeline.notes.language.names import Mention, people_and_places
from diary_pipeline.notes.language.plain import is_plain
from diary_pipeline.notes.language.sentences import Passage, sentences
from diary_pipeline.notes.language.spoken import reads_english
from diary_pipeline.notes.language.spoken_dates import OPENING_SEGMENTS, diary_day, spoken_dates
from diary_pipeline.notes.language.todos import asked_for, due_date, opens_correction, takes_back
from diary_pipeline.notes.language.topics import nouns, topics
from diary_pipeline.notes.offline.picking import pick
from diary_pipeline.notes.offline.titles import of_the_recording, title_of
from diary_pipeline.notes.writer import note_language, note_version

_SUMMARY_WORDS = 110
_SHORTEST_SUMMARY_WORDS = 25
"""An entry of up to this length is its own summary; a shorter pick of it would only be a worse one."""
_FEWEST = 4
"""Events or reflections that even a short entry may have; longer ones have more, up to these."""
_MOST_EVENTS = 8
_MOST_REFLECTIONS = 6
_MOST_ACTIONS = 12
_LONGEST_ITEM_WORDS = 40
"""Beyond, nobody can tell which of its words are the event."""
_OPENING_SENTENCES = 3
_UNREAD_SHARE = 0.1
"""Of the words of an English entry; more in another language, and the note says that not all could be read."""
_QUOTABLE = (5, 30)
"""Words of a sentence worth quoting."""


class OfflineWriter:
    """Notes without a language model, the default; deterministic."""

    version = "offline-3"
    writer: Literal["offline"] = "offline"

    def write(
        self, transcript: Transcript, recorded: RecordedAt, title: str | None, wanted: str | None = None
    ) -> DiaryNote:
        """Write the note of a transcript that holds speech, in its language: what is `wanted` cannot be translated."""
        language = note_language(transcript)
        said = sentences(transcript)
        liftable = [s for s in said if is_plain(s.text)] or said
        readable = {i for i, s in enumerate(liftable) if reads_english(s, transcript)}
        english = [liftable[i] for i in sorted(readable)]
        leaning = {i for i in readable if leans_back(liftable[i].text) or of_the_recording(liftable[i].text)}
        told_most = pick([s.text for s in liftable], _summary_budget(liftable), language, leaning)
        day = _day_told(english, transcript, recorded.day)
        told_so = [statement for sentence in english for statement in statements(sentence)]
        summary = [liftable[i] for i in sorted(told_most)]
        foreign = [s for i, s in enumerate(liftable) if i not in readable]
        claims = [
            *_claims(english, told_so, day),
            *_named("topic", nouns(foreign, language)),
            *_quotes(liftable, told_most, english),
        ]
        if recorded.source == "file_time" and day == recorded.day:  # a due date from a guessed day would be a guess
            claims = [replace(item, due_date=None) for item in claims]
        note = DiaryNote(
            recording_key=transcript.recording_key,
            note_date=day,
            title=title_of((english if language == "en" else foreign) or liftable, language == "en", title),
            summary=" ".join(_sentence(s.text) for s in summary),
            mood=_mood(english) if language == "en" else "neutral",
            items=_numbered(claims),
            language=language,
            writer=self.writer,
            degraded=False,
            prompt_version=self.version,
            transcript_version=transcript.version,
            version=note_version(transcript, self.version, recorded, title),
            limits=_limits(language, wanted, english, foreign),
        )
        return with_diary_time(note, transcript)


def _day_told(english: Sequence[Passage], transcript: Transcript, recorded_day: dt.date) -> dt.date:
    """The day that the first sentences say, where the opening as a whole says no other one."""
    day = diary_day(" ".join(s.text for s in english[:_OPENING_SENTENCES]), recorded_day)
    whole = diary_day(" ".join(s.text for s in transcript.speech[:OPENING_SEGMENTS]), recorded_day)
    return day if day == whole else recorded_day


def _limits(
    language: str, wanted: str | None, english: Sequence[Passage], foreign: Sequence[Passage]
) -> tuple[str, ...]:
    unread, read = (sum(len(s.text.split()) for s in some) for some in (foreign, english))
    cues_missed = language != "en" or unread > _UNREAD_SHARE * (unread + read)
    return (
        *((ENGLISH_CUES_ONLY,) if cues_missed else ()),
        *((NOT_TRANSLATED,) if wanted not in (None, language) else ()),
    )


def _claims(english: Sequence[Passage], told_so: Sequence[tuple[Passage, Told]], day: dt.date) -> list[NoteItem]:
    """Events, reflections and to-dos in order of time, then names and topics."""
    words = sum(len(s.text.split()) for s in english)
    events = _most_telling(told_so, "event", min(_MOST_EVENTS, max(_FEWEST, words // 30)))
    reflections = _most_telling(told_so, "reflection", min(_MOST_REFLECTIONS, max(_FEWEST, words // 40)))
    people, places = people_and_places(english)
    return [
        *(_item("event", p) for p in events),
        *(_item("reflection", p) for p in reflections),
        *_actions(english, told_so, day),
        *_named("person", people),
        *_named("place", places),
        *_named("topic", topics(english, [m.text for m in (*people, *places)])),
    ]


def _most_telling(told_so: Sequence[tuple[Passage, Told]], kind: Told, most: int) -> list[Passage]:
    found = [passage for passage, what in told_so if what == kind and len(passage.text.split()) <= _LONGEST_ITEM_WORDS]
    if len(found) > most:
        found = [found[i] for i in sorted(pick([p.text for p in found], 25 * most)[:most])]
    return found


def _actions(english: Sequence[Passage], told_so: Sequence[tuple[Passage, Told]], day: dt.date) -> list[NoteItem]:
    withdrawn, redated = set(), set()
    for said, following in pairwise(english):
        if takes_back(following.text):
            withdrawn.add(said.pieces[-1])
        if opens_correction(following.text) and spoken_dates(following.text, day):
            redated.add(said.pieces[-1])
    actions = [p.cut(*asked_for(p.text)) for p, what in told_so if what == "action" and p.pieces[-1] not in withdrawn][
        :_MOST_ACTIONS
    ]
    return [_item("action", p, due=None if p.pieces[-1] in redated else due_date(p.text, day)) for p in actions]


def _mood(english: Sequence[Passage]) -> Mood:
    told_so = [(s.text, told(s.text)) for s in english]
    felt = [text for text, kind in told_so if kind == "reflection"]
    return mood(felt, [text for text, kind in told_so if kind not in ("reflection", "action")])


def _named(kind: ItemKind, mentions: Iterable[Mention]) -> Iterator[NoteItem]:
    for mention in mentions:
        evidence = mention.sentence.evidence(mention.start)
        yield NoteItem(0, kind, mention.text, evidence.segment_id, evidence.start_s, evidence.end_s, evidence.quote)


def _quotes(liftable: Sequence[Passage], told_most: Sequence[int], english: Sequence[Passage]) -> list[NoteItem]:
    """The sentence felt most strongly, and the one that tells most."""
    telling = [liftable[i] for i in told_most]
    felt = [s for s in english if _QUOTABLE[0] <= len(s.text.split()) <= _QUOTABLE[1] and abs(feeling(s.text)) >= 0.5]
    strongest = sorted(felt, key=lambda s: -abs(feeling(s.text)))[:1]
    chosen = list({s.text: s for s in (*strongest, *telling)}.values())
    return [_item("quote", s) for s in sorted(chosen[: 1 if len(liftable) < 4 else 2], key=lambda s: s.start_s)]


def _item(kind: ItemKind, passage: Passage, due: dt.date | None = None) -> NoteItem:
    evidence = passage.evidence()
    return NoteItem(0, kind, passage.text, evidence.segment_id, evidence.start_s, evidence.end_s, evidence.quote, due)


def _numbered(items: Iterable[NoteItem]) -> tuple[NoteItem, ...]:
    """Count the items from 0; what was said twice stands once."""
    different = {(item.kind, item.text.casefold()): item for item in reversed(tuple(items))}
    return tuple(replace(item, id=n) for n, item in enumerate(reversed(different.values())))


def _summary_budget(said: Sequence[Passage]) -> int:
    words = sum(len(s.text.split()) for s in said)
    return min(_SUMMARY_WORDS, max(_SHORTEST_SUMMARY_WORDS, words * 2 // 5))


def _sentence(text: str) -> str:
    closed = text if text.endswith((".", "!", "?", "…", "。", "！", "？", '"', "”")) else f"{text.rstrip(' ,;:')}."
    return closed[0].upper() + closed[1:]
