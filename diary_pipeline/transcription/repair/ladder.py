"""What becomes of a window that raises signals: heard again down a ladder, cut at its pauses, or refused.

The signals are risk.py's business, how to listen again is sequential.py's. Rungs that gained nothing are gone; what
each of these gains stands in docs/calibration.md.

What surprises: most windows cost nothing here. And a refused one is still accounted for: its spans come back in parts
that partition them, each trusted, kept with what is held against it, or inaudible for a named reason.
"""

import difflib
import itertools
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from diary_pipeline.transcription.heard import HeardWindow
from diary_pipeline.transcription.repair.ears import Ears
from diary_pipeline.transcription.repair.missed import Gap, missed, part_of
from diary_pipeline.transcription.repair.phantoms import folded
from diary_pipeline.transcription.repair.pieces import at_pauses, cut
from diary_pipeline.transcription.repair.risk import (
    DAMNING,
    HARMLESS,
    LANGUAGE_SWITCH,
    LIMITS,
    Limits,
    believable,
    clipped_share,
    risks,
)
from diary_pipeline.transcription.repair.rungs import LADDER, in_order
from diary_pipeline.transcription.segments import NOTHING_HEARD
from diary_pipeline.transcription.speech.windows import Window
from diary_pipeline.transcription.transcriber import Hints

MOST_MISSED = 4
"""Stretches of one window that are heard on their own; what is longer goes first."""
AGREED = 0.85
"""Share of words in which two engines must agree to be believed together."""


class Repair:
    """Listens again where it must; safe to call from the one thread that owns the model."""

    def __init__(
        self,
        ears: Ears,
        other: Ears | None = None,
        *,
        ladder: Collection[str] = LADDER,
        limits: Limits = LIMITS,
    ) -> None:
        """`other` listens with a model of another size; None skips that rung. `ladder` holds rungs in any order."""
        self._ears = ears
        self._other = other
        self._ladder = in_order(ladder)
        self._limits = limits

    def __call__(
        self, window: Window, heard: HeardWindow, hints: Hints, language: str | None
    ) -> tuple[HeardWindow, ...]:
        """Return the window as it may be believed, maybe in parts; `language` is the recording's."""
        if LANGUAGE_SWITCH in heard.risks:
            heard = replace(heard, risks=tuple(code for code in heard.risks if code != LANGUAGE_SWITCH))
            if "apart" in self._ladder and (parts := self._by_language(window, hints)):
                return parts
        first = replace(heard, model_sha256=heard.model_sha256 or self._ears.model_sha256)
        first = self._judged(window, first, hints, language)
        chosen = self._climbed(window, first, hints, language)
        if not chosen.refused:
            return self._filled(window, chosen, hints, language)
        if "apart" not in self._ladder or nothing_there(first, window, self._limits):
            return (chosen,)
        pieces = at_pauses(window)
        return self._apart(pieces, chosen, hints, language) if len(pieces) > 1 else (chosen,)

    def _climbed(self, window: Window, first: HeardWindow, hints: Hints, language: str | None) -> HeardWindow:
        if trusted(first) or nothing_there(first, window, self._limits):
            return first
        tried = [first]
        for rung in self._ladder:
            again = self._again(rung, window, first, hints, language)
            if again is None:
                continue
            tried.append(again)
            if trusted(again):
                break
        return verdict(tried)

    def _again(
        self, rung: str, window: Window, first: HeardWindow, hints: Hints, language: str | None
    ) -> HeardWindow | None:
        ears: Ears | None
        if rung == "own_language":
            ears, spoken = self._ears, _own(first, hints, language)
            if spoken is None:
                return None
        else:
            ears, spoken = self._other if rung == "other_model" else None, first.language
        if ears is None:
            return None
        again = ears.listen(window, language=spoken, vocabulary=_unechoed(first, hints))
        if again is None:
            return None
        sure = first.language_probability if spoken == first.language else None
        return self._judged(window, replace(again, rung=rung, language_probability=sure), hints, language)

    def _by_language(self, window: Window, hints: Hints) -> tuple[HeardWindow, ...]:
        found = self._ears.languages(window, hints.languages)
        if len(found) < 2:
            return ()
        parts: list[HeardWindow] = []
        for piece, stretch in zip(cut(window, [one.start for one in found]), found, strict=True):
            heard = self._ears.listen(piece, language=stretch.language, vocabulary=hints.vocabulary)
            if heard is None:
                return ()
            heard = replace(heard, rung="apart", language_probability=stretch.probability)
            # Its language is its own: forced into the recording's it would be translated.
            judged = self._judged(piece, heard, hints, stretch.language)
            chosen = self._climbed(piece, judged, hints, stretch.language)
            parts += (chosen,) if chosen.refused else self._filled(piece, chosen, hints, stretch.language)
        return tuple(parts)

    def _filled(
        self, window: Window, heard: HeardWindow, hints: Hints, language: str | None
    ) -> tuple[HeardWindow, ...]:
        found = [(window, heard)]
        tried: set[int] = set()
        while heard.text and "missed" in self._ladder and len(tried) < MOST_MISSED:
            gaps = [(i, gap) for i, (piece, part) in enumerate(found) for gap in missed(piece, part)]
            gaps = [(i, gap) for i, gap in gaps if found[i][0].offset + gap.start not in tried]
            if not gaps:
                break
            i, gap = max(gaps, key=lambda at: at[1].length)
            tried.add(found[i][0].offset + gap.start)
            found[i : i + 1] = self._heard_in(gap, *found[i], hints, language)
        return tuple(part for _, part in found)

    def _heard_in(
        self, gap: Gap, window: Window, heard: HeardWindow, hints: Hints, language: str | None
    ) -> list[tuple[Window, HeardWindow]]:
        pieces, parts, at = _parted(window, heard, gap.around)
        again = self._ears.listen(pieces[at], language=heard.language, vocabulary=_unechoed(heard, hints))
        if again is None:
            return [(window, heard)]
        again = replace(again, rung="missed", language_probability=heard.language_probability)
        again = self._judged(pieces[at], again, hints, language)
        if trusted(again) and len(again.words) > len(parts[at].words):
            parts[at] = again
        else:  # heard twice and not understood: it is no pause
            pieces, parts, at = _parted(window, heard, (gap.start, gap.end))
            if not parts[at].words:
                parts[at] = replace(parts[at], refused=NOTHING_HEARD)
        return list(zip(pieces, parts, strict=True))

    def _apart(
        self, pieces: Iterable[Window], refused: HeardWindow, hints: Hints, language: str | None
    ) -> tuple[HeardWindow, ...]:
        parts: list[HeardWindow] = []
        for piece in pieces:
            heard = self._ears.listen(piece, language=refused.language, vocabulary=_unechoed(refused, hints))
            if heard is None:
                return (refused,)
            heard = replace(heard, rung="apart", language_probability=refused.language_probability)
            heard = verdict([self._judged(piece, heard, hints, language)])
            parts.append(heard)
        return tuple(_joined(parts))

    def _judged(self, window: Window, heard: HeardWindow, hints: Hints, language: str | None) -> HeardWindow:
        if not folded(heard.text):
            heard = replace(heard, words=())  # a full stop is no word
        found = risks(
            heard,
            hints,
            language=language,
            speech_probability=window.speech_probability,
            clipped=clipped_share(window.audio),
            limits=self._limits,
        )
        return replace(heard, risks=found)


def _parted(
    window: Window, heard: HeardWindow, stretch: tuple[int, int]
) -> tuple[list[Window], list[HeardWindow], int]:
    # The window cut around a stretch, what was heard in each piece, and which piece is the stretch.
    pieces = cut(window, stretch)
    at = next(i for i, piece in enumerate(pieces) if piece.offset - window.offset == stretch[0])
    return pieces, [part_of(heard, window, piece) for piece in pieces], at


def trusted(heard: HeardWindow) -> bool:
    """Whether nothing is held against it."""
    return not set(heard.risks) - HARMLESS


def nothing_there(heard: HeardWindow, window: Window, limits: Limits = LIMITS) -> bool:
    """Whether neither the model nor voice activity is sure that anybody speaks: not worth listening again."""
    return not heard.text and window.speech_probability < limits.speech_probability


def verdict(tried: Sequence[HeardWindow]) -> HeardWindow:
    """Choose among what was heard of one window: fewest signals, then the best score; refuse it if it cannot be kept.

    Two engines that agree beat one: then only a damning signal refuses the text.
    """
    agreed = [one for one in tried if any(agree(one, other) for other in tried)]
    chosen = min(agreed or tried, key=lambda one: (len(set(one.risks) - HARMLESS), -(one.avg_logprob or -9.0)))
    if not chosen.text:
        return chosen
    if believable(chosen.risks) or (agreed and not DAMNING & set(chosen.risks)):
        return chosen
    return replace(chosen, refused=chosen.risks[0])


def agree(one: HeardWindow, other: HeardWindow) -> bool:
    """Whether two models, not one model twice, understood nearly the same words."""
    a, b = folded(one.text).split(), folded(other.text).split()
    return one.model_sha256 != other.model_sha256 and difflib.SequenceMatcher(None, a, b, False).ratio() >= AGREED


def _own(heard: HeardWindow, hints: Hints, language: str | None) -> str | None:
    # The language to force instead. None: nothing speaks against the one it was heard in, or it was that one already.
    if not {"language_flip", "language_uncertain", "foreign_script"} & set(heard.risks):
        return None
    wanted = language if language and (not hints.languages or language in hints.languages) else None
    wanted = wanted or (hints.languages[0] if hints.languages else None)
    return None if hints.language or wanted == heard.language else wanted


def _unechoed(heard: HeardWindow, hints: Hints) -> Sequence[str]:
    # A model that was led by the hints is not led again.
    return () if "prompt_echo" in heard.risks else hints.vocabulary


def _joined(parts: Iterable[HeardWindow]) -> Iterable[HeardWindow]:
    for refused, group in itertools.groupby(parts, key=lambda part: part.refused):
        neighbours = list(group)
        if refused is None:
            yield from neighbours
        else:
            yield replace(neighbours[0], spans=tuple(s for part in neighbours for s in part.spans), words=())
