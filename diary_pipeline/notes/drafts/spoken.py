"""A transcript opened for the questions of assembling: which sentence, which name, which day, due when.

The answers are evidence or nothing. Which item of a draft asks is assembling.py's and finding.py's business.
"""

import datetime as dt
from collections import defaultdict
from functools import cached_property

from diary_pipeline.core.recording import RecordedAt
from diary_pipeline.core.transcript import Transcript
from diary_pipeline.notes.drafts.due import due_of
from diary_pipeline.notes.evidence.grounding import content_stems
from diary_pipeline.notes.evidence.snapping import Snapped, Snapper
from diary_pipeline.notes.language.cues import statements
from diary_pipeline.notes.language.english import STOP_WORDS
from diary_pipeline.notes.language.sentences import Evidence, Passage, sentences
from diary_pipeline.notes.language.spoken_dates import OPENING_SEGMENTS, diary_day, spoken_dates
from diary_pipeline.notes.language.todos import due_date, opens_correction, takes_back
from diary_pipeline.notes.writer import note_language

HALF = 0.5
"""Of its content words, that a sentence must hold to be where a text comes from."""
_OPENING_SENTENCES = 3


class Spoken:
    """The words of one recording, indexed once."""

    def __init__(self, transcript: Transcript, recorded: RecordedAt) -> None:
        self.snapper = Snapper(transcript)
        self.sentences = sentences(transcript)
        self._recorded = recorded
        self._speech = transcript.speech
        self._language = note_language(transcript)
        self._number = {segment.id: number for number, segment in enumerate(self._speech)}
        self._in_segment: dict[int, list[int]] = defaultdict(list)
        for index, sentence in enumerate(self.sentences):
            for piece in sentence.pieces:
                self._in_segment[piece.segment.id].append(index)

    def day(self, said: dt.date | None = None) -> dt.date:
        """The day the entry is about: the recording's, or one that it opens with; `said` is what a model understood."""
        english = [s.text for s in self.sentences if s.english]
        told = diary_day(" ".join(english[:_OPENING_SENTENCES]), self._recorded.day)
        if told != self._recorded.day or said is None:
            return told
        opening = " ".join(s.text for s in self._speech[:OPENING_SEGMENTS])
        return said if diary_day(opening, self._recorded.day) == said else told

    def due(self, at: Snapped, day: dt.date, lifted: str = "") -> dt.date | None:
        """When the to-do that is told at a quote is due, if its own segment says one day in the same statement.

        Words that were `lifted` whole may run over segments and count as they are.
        """
        if self._recorded.source == "file_time" and day == self._recorded.day:
            return None  # counted from a guessed day, a due date would be a guess
        touched = self._touched(at)
        if any(opens_correction(self._following(index)) for index in touched):
            return None
        told = [part for index in touched for part in self._told(index) if _touches(part, at)]
        days = {due_date(lifted, day)} if lifted else {_due_in(part, at, day) for part in told}
        days.discard(None)
        own = self._speech[self._number[at.segment_id]].text
        named = {date.day for text in (own, lifted) for date in spoken_dates(text, day)}
        return days.pop() if len(days) == 1 and days <= named else None

    def is_withdrawn(self, at: Snapped) -> bool:
        """Tell whether the sentence behind a quoted to-do takes it back ("Never mind.")."""
        return any(takes_back(self._following(index)) for index in self._touched(at))

    def mentions(self, name: str) -> list[Evidence]:
        """Every place where a whole name was said, spelt as it is given first."""
        found = self.snapper.find(name)
        return [self._around(at) for at in sorted(found, key=lambda at: at.quote[:1].isupper() != name[:1].isupper())]

    def name(self, name: str) -> Evidence | None:
        """Where a name was said, as a whole or else each of its words."""
        if found := self.mentions(name):
            return found[0]
        parts = [self.mentions(word) for word in name.split() if word.casefold() not in STOP_WORDS]
        return parts[0][0] if parts and all(parts) else None

    def topic(self, topic: str) -> Evidence | None:
        """Where a topic comes up: where its words stand, else the first sentence with most of them."""
        if found := self.snapper.find(topic):
            return self._around(found[0])
        home = self.home(topic)
        return home.evidence() if home else None

    def home(self, text: str) -> Passage | None:
        """The first sentence that holds the most of a text's content words, if that is half of them."""
        wanted = content_stems(text, self._language)
        if not wanted:
            return None
        held = [len(wanted & stems) for stems in self._stems]
        most = max(held, default=0)
        return self.sentences[held.index(most)] if most >= HALF * len(wanted) else None

    @cached_property
    def _stems(self) -> list[frozenset[str]]:
        return [content_stems(s.text, self._language) for s in self.sentences]

    def _told(self, index: int) -> list[Passage]:
        """The statements of a sentence that cue rules may read."""
        sentence = self.sentences[index]
        if not sentence.english:
            return []
        return [part for part, _ in statements(sentence)] or [sentence]

    def _touched(self, at: Snapped) -> list[int]:
        return [index for index in self._in_segment[at.segment_id] if _touches(self.sentences[index], at)]

    def _following(self, index: int) -> str:
        return self.sentences[index + 1].text if index + 1 < len(self.sentences) else ""

    def _around(self, at: Snapped) -> Evidence:
        """The part of a sentence that lies in the segment of a word, so that it can be understood."""
        for index in self._in_segment[at.segment_id]:
            for piece in self.sentences[index].pieces:
                if piece.segment.id == at.segment_id and piece.start <= at.start and at.end <= piece.end:
                    return Passage((piece,)).evidence()
        return Evidence(at.segment_id, at.start_s, at.end_s, at.quote)


def _touches(passage: Passage, at: Snapped) -> bool:
    return any(p.segment.id == at.segment_id and p.start < at.end and at.start < p.end for p in passage.pieces)


def _due_in(passage: Passage, at: Snapped, day: dt.date) -> dt.date | None:
    piece = next(p for p in passage.pieces if p.segment.id == at.segment_id)
    return due_of(piece.text, max(at.start - piece.start, 0), min(at.end, piece.end) - piece.start, day)
