"""A long recording in pieces that a model reads whole, each ending where the speaker paused longest.

One question as long as it can be: up to 48,000 tokens the middle of a context is not forgotten, and three hours of
speech fit. What the pieces answer, merging.py puts together; lines keep the numbers of the whole recording.
"""

import math
from collections.abc import Sequence

from diary_pipeline.core.transcript import Segment
from diary_pipeline.notes.drafts.prompt import Hide, line_of, shown

MOST_TOKENS = 48_000
_SHARE_OF_CONTEXT = 0.6
"""The rest is for the rules, the answer, and for tokenizers that count more."""
_BYTES_A_TOKEN = 2
"""No tokenizer in use makes more of UTF-8 text."""
_NEAR = 0.2
"""Of a piece, within which the longest pause is looked for."""

Chunk = tuple[Segment, ...]


def question_bytes(context_tokens: int, output_tokens: int = 0) -> int:
    """Give how many bytes one question to such a model may hold, so that an answer of that length fits beside it."""
    return _BYTES_A_TOKEN * int(min(_SHARE_OF_CONTEXT * context_tokens, MOST_TOKENS, context_tokens - output_tokens))


def chunks(speech: Sequence[Segment], most_bytes: int, hide: Hide = shown) -> tuple[Chunk, ...]:
    """Cut speech into pieces of at most so many bytes and of about one size; a longer segment is a piece by itself."""
    sizes = [len(line_of(segment, hide).encode()) + 1 for segment in speech]
    left = sum(sizes)
    found: list[Chunk] = []
    start = 0
    while start < len(speech):
        pieces = math.ceil(left / most_bytes)
        end = _end(speech, sizes, start, left / pieces, most_bytes)
        found.append(tuple(speech[start:end]))
        left -= sum(sizes[start:end])
        start = end
    return tuple(found)


def _end(speech: Sequence[Segment], sizes: Sequence[int], start: int, wanted: float, most_bytes: int) -> int:
    """Where a piece ends that begins at `start`: behind the longest pause near the wanted size."""
    held, fits, near = 0, start + 1, []
    for end in range(start + 1, len(speech) + 1):
        held += sizes[end - 1]
        if held > most_bytes:
            break
        fits = end
        if end == len(speech) and held <= (1 + _NEAR) * wanted:
            return end
        if (1 - _NEAR) * wanted <= held <= (1 + _NEAR) * wanted and end < len(speech):
            near.append(end)
    return max(near, key=lambda end: speech[end].start_s - speech[end - 1].end_s, default=fits)
