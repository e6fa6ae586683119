"""From what a small model found to a note in the speaker's own words.

Such a model copies well and rephrases badly, so its texts are never published: each only finds the sentence that holds
most of it, and that sentence is told. Title, summary, mood, topics and quotes are the offline writer's, and so are its
to-dos, which alone find nine of ten; the model adds what their cues miss. The note is in the spoken language, whatever
was asked for.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from diary_pipeline.core.note import DiaryNote, ItemKind, NoteItem
from diary_pipeline.notes.drafts.assembling import NAME_NOT_SAID, NOT_OPEN, UNSUPPORTED, Assembled, Field, Lost, Place
from diary_pipeline.notes.drafts.assignment import Assignment
from diary_pipeline.notes.drafts.repair import WRONG_KIND
from diary_pipeline.notes.drafts.repeats import distinct
from diary_pipeline.notes.drafts.schema import FoundDraft
from diary_pipeline.notes.drafts.spoken import Spoken
from diary_pipeline.notes.evidence.grounding import content_stems, names_in, normalise
from diary_pipeline.notes.language.cues import Told, is_question, may_have_happened, statements
from diary_pipeline.notes.language.english import LONG_AGO, listed
from diary_pipeline.notes.language.plain import is_plain
from diary_pipeline.notes.language.sentences import Evidence, Passage

_Found = tuple[Place, NoteItem | str]
_OF_NAMES = frozenset(listed("a al an and bin da de del der di du el la las le los of on the van von y zu"))


def assemble_found(
    drafts: Sequence[FoundDraft], assignment: Assignment, spoken: Spoken, offline: DiaryNote
) -> Assembled:
    """Make a note of what was found in each piece of a recording; `offline` is the offline writer's note of it."""
    sentences = [
        *_sentences("event", "events", [text for d in drafts for text in d.events], spoken, offline),
        *_sentences("reflection", "reflections", [text for d in drafts for text in d.reflections], spoken, offline),
        *_sentences("action", "actions", [text for d in drafts for text in d.actions], spoken, offline),
    ]
    names = [
        *_names("person", "people", [name for d in drafts for name in d.people], spoken, offline),
        *_names("place", "places", [name for d in drafts for name in d.places], spoken, offline),
    ]
    told = [(place, item) for place, item in sentences if isinstance(item, NoteItem)]
    # Small models name a sentence in several fields; the first says what it is.
    new = [told[n] for n in distinct(item.text for _, item in told)]
    new += [(place, item) for place, item in names if isinstance(item, NoteItem)]
    kept: list[tuple[Place | None, NoteItem]] = []
    for kind in ("event", "reflection", "action", "person", "place", "topic", "quote"):
        of_kind: list[tuple[Place | None, NoteItem]] = [(p, i) for p, i in new if i.kind == kind]
        if kind in ("action", "person", "place") or not of_kind:
            of_kind = [*((None, item) for item in offline.of(kind)), *of_kind]
        if kind in ("event", "reflection", "action"):
            once = [of_kind[n] for n in distinct(item.text for _, item in of_kind)]
            of_kind = sorted(once, key=lambda e: e[1].start_s)
        kept += of_kind
    note = replace(
        offline,
        items=tuple(replace(item, id=n) for n, (_, item) in enumerate(kept)),
        writer="llm",
        degraded=False,
        prompt_version=assignment.prompt_version,
        version=assignment.version,
    )
    return Assembled(
        note,
        places={n: place for n, (place, _) in enumerate(kept) if place is not None},
        lost=tuple(Lost(place, code) for place, code in [*sentences, *names] if isinstance(code, str)),
        quotes_offered=len(sentences),
    )


def _sentences(kind: Told, field: Field, texts: Sequence[str], spoken: Spoken, offline: DiaryNote) -> Iterator[_Found]:
    for index in distinct(texts):
        yield Place(field, index), _sentence(kind, texts[index], spoken, offline)


def _sentence(kind: Told, text: str, spoken: Spoken, offline: DiaryNote) -> NoteItem | str:
    """The sentence that a text comes from, if it tells what the model took it for."""
    home = spoken.home(text)
    if home is None or not is_plain(home.text):
        return UNSUPPORTED
    part, told = _part(home, text, offline.language)
    if not _may_tell(kind, part, told):
        return WRONG_KIND
    said = part.evidence()
    # Small models mix up what happened and what was felt; cue rules do so less.
    item = NoteItem(0, told or kind, part.text, said.segment_id, said.start_s, said.end_s, said.quote)
    at = spoken.snapper.snap(said.quote, near=said.segment_id) if kind == "action" else None
    if at is None:
        return item
    return NOT_OPEN if spoken.is_withdrawn(at) else replace(item, due_date=spoken.due(at, offline.note_date, part.text))


def _part(home: Passage, text: str, language: str) -> tuple[Passage, Told | None]:
    """The statement of a sentence that a text means, where it makes several."""
    parts: list[tuple[Passage, Told | None]] = [*statements(home)] if home.english else []
    wanted = content_stems(text, language)
    return max(parts, key=lambda p: len(wanted & content_stems(p[0].text, language)), default=(home, None))


def _may_tell(kind: Told, part: Passage, told: Told | None) -> bool:
    if told is not None or kind == "action":
        return (told == "action") == (kind == "action")
    if kind == "event":
        return may_have_happened(part.text)
    return not is_question(part.text) and not LONG_AGO.search(part.text)


def _names(kind: ItemKind, field: Field, names: Sequence[str], spoken: Spoken, offline: DiaryNote) -> Iterator[_Found]:
    """Names that the offline writer did not see, if they were spoken as names: with a capital inside a sentence."""
    seen = {normalise(item.text) for item in (*offline.of("person"), *offline.of("place"))}
    for index, name in enumerate(map(_bare, names)):
        plain = normalise(name)
        if not plain or plain in seen:
            continue
        seen.add(plain)
        said = next((place for place in spoken.mentions(name) if _holds_name(place, plain)), None)
        if said is None:
            yield Place(field, index), NAME_NOT_SAID
        else:
            text = " ".join(name.split())
            yield Place(field, index), NoteItem(0, kind, text, said.segment_id, said.start_s, said.end_s, said.quote)


def _bare(name: str) -> str:
    """Take the words off a name that only say more of who or what it is: "Martha across the street"."""
    words = name.split()
    if all(word[0].isupper() or word.casefold() in _OF_NAMES for word in words):
        return name
    return " ".join(word for word in words if word[0].isupper()) or name


def _holds_name(place: Evidence, plain: str) -> bool:
    return not {normalise(word) for word in names_in(place.quote)}.isdisjoint(plain.split())
