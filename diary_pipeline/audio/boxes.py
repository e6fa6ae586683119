"""The boxes of mp4, m4a, mov and 3gp files, as far as they tell how long the audio is and whether its end is there.

Only box headers are read, never the audio, so a file of any size costs a few reads.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO

from diary_pipeline.audio.reading import read_at, size_of

Span = tuple[int, int]
_MOST_BOXES = 10_000  # a day of one-second fragments in two boxes each would pass; a loop made to keep us busy does not
_UNKNOWN = frozenset({0, 0xFFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF})


def promised_s(file: BinaryIO) -> float | None:
    """Return the audio track's seconds; None for fragments, whose writer did not know how many would come."""
    movie = _inside(file, (0, size_of(file))).get(b"moov")
    if movie is None:
        return None
    inside = _inside(file, movie)
    if b"mvex" in inside:
        return None
    for name, *track in _boxes(file, *movie):
        if name == b"trak" and (promised := _audio_track_s(file, (track[0], track[1]), inside.get(b"mvhd"))):
            return promised
    return None


def torn(file: BinaryIO) -> bool:
    """Tell whether the index is missing, or a box reaches past the end of the file."""
    size = size_of(file)
    names = set()
    for name, _, end in _boxes(file, 0, size):
        names.add(name)
        if end > size and name in (b"mdat", b"moov", b"moof"):
            return True
    return not names & {b"moov", b"moof"}


def _audio_track_s(file: BinaryIO, track: Span, movie_header: Span | None) -> float | None:
    inside = _inside(file, track)
    media = _inside(file, inside[b"mdia"]) if b"mdia" in inside else {}
    if b"hdlr" not in media or b"mdhd" not in media or read_at(file, media[b"hdlr"][0] + 8, 4) != b"soun":
        return None
    promises = [_duration(file, media[b"mdhd"], 4) / _scale(file, media[b"mdhd"])]
    if b"tkhd" in inside and movie_header:
        # The track header counts what its edit list leaves over, and only that is decoded.
        promises.append(_duration(file, inside[b"tkhd"], 8) / _scale(file, movie_header))
    return min((p for p in promises if p), default=None)


def _scale(file: BinaryIO, box: Span) -> int:
    scale: int = struct.unpack(">I", read_at(file, _past_times(file, box), 4))[0]
    return scale


def _duration(file: BinaryIO, box: Span, skip: int) -> int:
    # mvhd, mdhd: times, timescale (4 bytes), duration; tkhd: times, track and reserved (8 bytes), duration.
    wide = read_at(file, box[0], 1) == b"\1"
    length = int.from_bytes(read_at(file, _past_times(file, box) + skip, 8 if wide else 4), "big")
    return 0 if length in _UNKNOWN else length


def _past_times(file: BinaryIO, box: Span) -> int:
    wide = read_at(file, box[0], 1) == b"\1"
    return box[0] + 4 + (16 if wide else 8)


def _inside(file: BinaryIO, span: Span) -> dict[bytes, Span]:
    found: dict[bytes, Span] = {}
    for name, start, end in _boxes(file, *span):
        found.setdefault(name, (start, end))
    return found


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    for _ in range(_MOST_BOXES):
        if start + 8 > end:
            return
        size, name = struct.unpack(">I4s", read_at(file, start, 8))
        body = start + 8
        if size == 1:
            size, body = struct.unpack(">Q", read_at(file, body, 8))[0], body + 8
        elif size == 0:
            size = end - start
        if size < body - start:
            return
        yield name, body, start + size
        start += size
