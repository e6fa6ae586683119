"""How long a container promises to be, in seconds, where its promise is exact.

Bytes in, a number out: no decoding, and no estimate from size and bit rate, which a cut file would confirm.

    wav       size of the data chunk, for encodings with a fixed number of bytes a second
    flac      samples in STREAMINFO
    mp3       frames in the Xing or Info header
    mp4 ...   the audio track's own duration; fragmented files promise nothing
    matroska  Duration, where the audio is the only track
    ogg       the last page's position, so a cut file promises less; see `ends_torn`
    aac, amr  promise nothing

What surprises: zero and the largest numbers mean "unknown". Recorders that stream write them and never come back.
"""

import re
import struct
from collections.abc import Callable, Mapping
from typing import BinaryIO

from diary_pipeline.audio import boxes
from diary_pipeline.audio.reading import read_at, size_of

# PCM, float, A-law, mu-law, extensible (PCM or float in practice): bytes a second is exact.
_FIXED_RATE_WAV = frozenset({1, 3, 6, 7, 0xFFFE})
# Recorders mark an unknown size by 0xFFFFFFFF, 0x7FFFFFFF or a little less (sox: 0x7FFFF000).
_UNKNOWN_SIZE = 0x7FFF_0000
_MOST_CHUNKS = 1000
_PAGE_MAX = 65_307
_MP3_RATES = (44_100, 48_000, 32_000)


def promised_s(file: BinaryIO, container: str, stream_s: float | None, tracks: int) -> float | None:
    """Return the promised seconds or None; `stream_s` is what the demuxer said, `tracks` how many tracks it found."""
    if container == "ogg":
        return stream_s
    reader = _READERS.get(container)
    if reader is None or (container == "matroska" and tracks > 1):
        return None
    try:
        return reader(file)
    except (struct.error, IndexError, ZeroDivisionError):
        return None  # a header too broken to read promises nothing; decoding will tell


def ends_torn(file: BinaryIO, container: str) -> bool:
    """Tell whether the bytes show that the end of the file is missing, without decoding.

    An ogg file whose last page is incomplete; an mp4 file without its index, or whose last box reaches past the end. A
    missing end-of-stream mark is no sign: Android's own ogg writer never sets it. So an ogg file that was cut between
    two pages goes unnoticed.
    """
    try:
        return _ogg_torn(file) if container == "ogg" else container == "mp4" and boxes.torn(file)
    except struct.error:
        return True


def _wav(file: BinaryIO) -> float | None:
    head = read_at(file, 0, 12)
    bytes_a_second, long_size = 0, 0
    offset = 12
    for _ in range(_MOST_CHUNKS):
        name, size = struct.unpack("<4sI", read_at(file, offset, 8))
        if name == b"ds64":
            long_size = struct.unpack("<8xQ", read_at(file, offset + 8, 16))[0]
        elif name == b"fmt ":
            kind, bytes_a_second = struct.unpack("<H6xI", read_at(file, offset + 8, 12))
            if kind not in _FIXED_RATE_WAV:
                return None
        elif name == b"data":
            if head[:4] in (b"RF64", b"BW64") and size == 0xFFFF_FFFF:
                return float(long_size / bytes_a_second) if long_size else None
            return size / bytes_a_second if 0 < size < _UNKNOWN_SIZE else None
        offset += 8 + size + size % 2
    return None


def _flac(file: BinaryIO) -> float | None:
    start = _after_id3(file)
    if read_at(file, start, 4) != b"fLaC":
        return None
    packed = int.from_bytes(read_at(file, start + 18, 8), "big")
    rate, samples = packed >> 44, packed & 0xF_FFFF_FFFF
    return samples / rate if samples else None


def _mp3(file: BinaryIO) -> float | None:
    # The first frame may stand behind padding; 4 KiB is what demuxers search too.
    head = read_at(file, _after_id3(file), 4096, exact=False)
    for mark in (b"Xing", b"Info"):
        found = head.find(mark)
        if found < 0:
            continue
        flags, frames = struct.unpack(">II", head[found + 4 : found + 12])
        start = next((at for at in range(found - 13, max(found - 40, -1), -1) if _is_mp3_frame(head, at)), None)
        if start is None or not flags & 1 or frames in (0, 0xFFFF_FFFF):
            return None
        version, rate = head[start + 1] >> 3 & 3, _MP3_RATES[head[start + 2] >> 2 & 3]
        if version == 3:  # MPEG 1; 2 is MPEG 2 at half the rate, 0 is MPEG 2.5 at a quarter
            return float(frames * 1152 / rate)
        return float(frames * 576 / (rate / (2 if version == 2 else 4)))
    return None


def _is_mp3_frame(head: bytes, at: int) -> bool:
    return head[at] == 0xFF and head[at + 1] & 0xE6 == 0xE2 and head[at + 2] >> 2 & 3 != 3


def _matroska(file: BinaryIO) -> float | None:
    head = read_at(file, 0, 65_536, exact=False)
    # The element Info; the index before it (SeekHead) names the same four bytes behind `53 AB 84`.
    info = re.search(rb"(?<!\x53\xab\x84)\x15\x49\xa9\x66", head)
    if info is None:
        return None
    scale, duration = 1_000_000, 0.0
    length, at = _vint(head, info.end())
    end = min(at + length, len(head))
    while at < end:
        name = head[at : at + 9 - head[at].bit_length()]
        size, at = _vint(head, at + len(name))
        value = head[at : at + size]
        if name == b"\x2a\xd7\xb1":
            scale = int.from_bytes(value, "big")
        elif name == b"\x44\x89":
            duration = struct.unpack(">d" if size == 8 else ">f", value)[0]
        at += size
    return duration * scale / 1e9 if duration > 0 else None


def _vint(data: bytes, at: int) -> tuple[int, int]:
    length = 9 - data[at].bit_length()
    return int.from_bytes(data[at : at + length], "big") & ((1 << 7 * length) - 1), at + length


def _ogg_torn(file: BinaryIO) -> bool:
    size = size_of(file)
    start = max(0, size - 2 * _PAGE_MAX)
    tail = read_at(file, start, size - start)
    page = tail.rfind(b"OggS\0")
    if page < 0:
        return True
    if len(tail) < page + 27:
        return True
    segments = tail[page + 26]
    table = tail[page + 27 : page + 27 + segments]
    return len(table) < segments or page + 27 + segments + sum(table) > len(tail)


def _after_id3(file: BinaryIO) -> int:
    head = read_at(file, 0, 10, exact=False)
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    return 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))


_READERS: Mapping[str, Callable[[BinaryIO], float | None]] = {
    "wav": _wav,
    "flac": _flac,
    "mp3": _mp3,
    "mp4": boxes.promised_s,
    "matroska": _matroska,
}
