"""What an audio file is, from its own bytes: container, codec, promised length, tags. Name and MIME type are not asked.

The only door to PyAV besides decode.py. PyAV is handed an open file: given a string it would fetch URLs, and given a
playlist it would follow it. Whatever is wrong with the bytes comes out as AudioRefused.

What surprises: one frame is decoded. Random bytes often look like mp3 to a demuxer, never to a decoder.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import av
from av.audio.stream import AudioStream
from av.container import InputContainer

from diary_pipeline.audio import declared
from diary_pipeline.audio.limits import AudioLimits
from diary_pipeline.core.errors import AudioRefused
from diary_pipeline.core.recording import AudioFacts

FORMATS: Mapping[str, str] = {
    "wav": "wav",
    "mp3": "mp3",
    "flac": "flac",
    "ogg": "ogg",
    "matroska,webm": "matroska",
    "mov,mp4,m4a,3gp,3g2,mj2": "mp4",
    "aac": "aac",
    "amr": "amr",
}
_OPTIONS = {
    # The open file needs no protocol at all, so none is allowed: nothing a file says can make us open another.
    "protocol_whitelist": "none",
    "format_whitelist": ",".join(FORMATS),
    "probesize": "2000000",
    "analyzeduration": "5000000",
}
# Until the first good frame: covers tags that look like frames and a torn start, within a fraction of a second.
_PACKETS_TRIED = 50
# FFmpeg estimates a length from the first frames' bit rate, which variable bit rates put off by up to this factor.
_ESTIMATE_MAY_BE_OFF = 3
# What PyAV raises for broken input: its own errors, and the plain ones for parameters no encoder would write.
BROKEN = (av.error.FFmpegError, ValueError, IndexError, OverflowError, ZeroDivisionError)


def probe(path: Path, limits: AudioLimits, name: str = "") -> AudioFacts:
    """Read what the file says about itself, or refuse it by that; takes well under a second for any file.

    `name`: what people call the file, where it lies under another one.
    """
    name, size = name or path.name, path.stat().st_size
    refuse_by_size(name, size, limits)
    with open_audio(path, name) as (file, container, stream):
        facts, estimate_s = _facts(file, container, stream, size)
        if declared.ends_torn(file, facts.container):
            raise torn(name)
        _refuse_by_length(name, facts, estimate_s, limits)
    with open_audio(path, name) as (_, container, stream):
        _decode_one_frame(name, container, stream)
    return facts


def refuse_by_size(name: str, size: int, limits: AudioLimits) -> None:
    """Refuse what need not even be opened."""
    if size == 0:
        raise AudioRefused("audio_empty", f"{name} is empty; record or copy it again.")
    if size > limits.max_size_bytes:
        raise AudioRefused(
            "audio_too_large",
            f"{name} has {size / 1e6:.0f} MB, more than the {limits.max_size_bytes / 1e6:.0f} MB allowed; "
            "send it in parts or as a smaller format.",
        )


@contextmanager
def open_audio(path: Path, name: str = "") -> Iterator[tuple[BinaryIO, InputContainer, AudioStream]]:
    """Open a local file and its first audio track; AudioRefused when there is none. Errors of the disk stay OSError."""
    name = name or path.name
    with path.open("rb") as file:
        try:
            container = av.open(file, mode="r", metadata_errors="ignore", options=dict(_OPTIONS))
        except BROKEN as error:
            file.seek(0)
            if file.read(8)[4:] == b"ftyp" and declared.ends_torn(file, "mp4"):
                raise torn(name) from error
            raise unreadable(name) from error
        with container:
            if not container.streams.audio:
                raise AudioRefused("audio_unreadable", f"{name} holds no audio track; send the sound recording itself.")
            yield file, container, container.streams.audio[0]


def unreadable(name: str) -> AudioRefused:
    """Build the refusal of bytes that are no audio we know."""
    return AudioRefused(
        "audio_unreadable",
        f"{name} is not audio that can be read; send mp3, wav, m4a, flac, ogg, opus, webm, aac or amr.",
    )


def torn(name: str) -> AudioRefused:
    """Build the refusal of a file whose end is missing."""
    return AudioRefused(
        "audio_truncated", f"{name} breaks off: the end of the file is missing; copy or upload it again."
    )


def _facts(
    file: BinaryIO, container: InputContainer, stream: AudioStream, size: int
) -> tuple[AudioFacts, float | None]:
    short = FORMATS.get(container.format.name, container.format.name)
    stream_s = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else None
    estimate_s = stream_s or (container.duration / av.time_base if container.duration else None)
    codec = stream.codec_context
    return AudioFacts(
        container=short,
        codec=codec.name if codec else "",
        # PyAV reads through our file object, and seeks to where it needs to be before each of its reads.
        declared_s=declared.promised_s(file, short, stream_s, len(container.streams)),
        sample_rate_hz=codec.sample_rate if codec else 0,
        channels=codec.channels if codec else 0,
        size_bytes=size,
        tags={key.lower(): value for key, value in {**stream.metadata, **container.metadata}.items()},
    ), estimate_s


def _refuse_by_length(name: str, facts: AudioFacts, estimate_s: float | None, limits: AudioLimits) -> None:
    length = facts.declared_s
    at_least = length if length is not None else (estimate_s or 0.0) / _ESTIMATE_MAY_BE_OFF
    if at_least > limits.max_s:
        raise too_long(name, at_least, limits)
    if length is not None and length < limits.min_s:
        raise too_short(name, length, limits)


def too_long(name: str, length_s: float, limits: AudioLimits) -> AudioRefused:
    """Build the refusal of a recording beyond the longest allowed."""
    return AudioRefused(
        "audio_too_long",
        f"{name} is {length_s / 3600:.1f} h long, more than the {limits.max_s / 3600:g} h allowed; send it in parts.",
    )


def too_short(name: str, length_s: float, limits: AudioLimits) -> AudioRefused:
    """Build the refusal of a recording in which nobody can have said a word."""
    return AudioRefused(
        "audio_too_short",
        f"{name} is {length_s:.2f} s long, less than the {limits.min_s:g} s that a word takes; record it again.",
    )


def _decode_one_frame(name: str, container: InputContainer, stream: AudioStream) -> None:
    packets = 0
    try:
        for packet in container.demux(stream):
            packets += packet.size > 0
            try:
                if any(frame.samples for frame in packet.decode()):
                    return
            except BROKEN:
                pass
            if packets >= _PACKETS_TRIED:
                break
    except BROKEN as error:
        raise unreadable(name) from error
    if packets == 0:
        raise AudioRefused("audio_empty", f"{name} has a header but no sound in it; record or copy it again.")
    raise unreadable(name)
