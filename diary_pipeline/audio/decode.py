"""Samples of a recording, streamed: 16 kHz mono float32 in blocks, in memory that does not grow with the recording.

Equal to faster_whisper.decode_audio sample for sample on good files; a test holds it to that. Where a file is damaged
we go on behind the damage and count it; decode_audio drops it without a word.

What surprises: frame times are ignored, as decode_audio ignores them. A gap in a webm's times is closed, not filled.
"""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet

from diary_pipeline.audio.probe import BROKEN, open_audio, unreadable

RATE = 16_000
BLOCK_S = 32.0
# A demuxer that cannot read on and gives nothing in between is stuck; more tries only burn time.
_DEMUX_RETRIES = 20
_GROUP = 16_000
"""Samples resampled in one call. Frame by frame, a fifth of a millisecond each, decoding takes twice the CPU time."""

Block = npt.NDArray[np.float32]
Pcm = npt.NDArray[np.int16]


def decode(path: Path, block_s: float = BLOCK_S) -> Iterator[Block]:
    """Yield the recording in blocks of `block_s` seconds, the last one shorter; see Decoder for what was damaged."""
    return Decoder(path, block_s).blocks()


class Decoder:
    """One pass over one recording; the figures are complete when `blocks` is exhausted."""

    def __init__(self, path: Path, block_s: float = BLOCK_S) -> None:
        self.path = path
        self.samples = 0
        self.damaged_packets = 0
        self._block = max(1, round(block_s * RATE))

    def blocks(self) -> Iterator[Block]:
        """Yield the blocks; AudioRefused `audio_unreadable` when not one sample comes out."""
        self.samples = self.damaged_packets = 0
        waiting: list[Pcm] = []
        have = 0
        for piece in self._pieces():
            waiting.append(piece)
            have += piece.size
            if have >= self._block:
                joined = np.concatenate(waiting)
                whole = have - have % self._block
                for start in range(0, whole, self._block):
                    yield self._given(joined[start : start + self._block])
                waiting, have = [joined[whole:].copy()], have - whole
        if have:
            yield self._given(np.concatenate(waiting))
        if self.samples == 0:
            raise unreadable(self.path.name)

    def _given(self, block: Pcm) -> Block:
        self.samples += block.size
        return block.astype(np.float32) / np.float32(32768)

    def _pieces(self) -> Iterator[Pcm]:
        # 16 kHz mono through 16 bits is what decode_audio() yields, and what Whisper was fed when it was measured.
        with open_audio(self.path) as (_, container, stream):
            resampler, fifo = _resampler(), av.AudioFifo()
            for frame in self._frames(container, stream):
                frame.pts = None
                try:
                    fifo.write(frame)
                except BROKEN:
                    # The format changed in mid-stream (HE-AAC signalled late, two files joined): begin anew from here.
                    yield from self._rest(resampler, fifo)
                    resampler, fifo = _resampler(), av.AudioFifo()
                    yield from self._samples(resampler, frame)
                if fifo.samples >= _GROUP:
                    yield from self._samples(resampler, fifo.read())
            yield from self._rest(resampler, fifo)

    def _rest(self, resampler: av.AudioResampler, fifo: av.AudioFifo) -> Iterator[Pcm]:
        if fifo.samples:
            yield from self._samples(resampler, fifo.read())
        yield from self._samples(resampler, None)

    def _samples(self, resampler: av.AudioResampler, frame: AudioFrame | None) -> Iterator[Pcm]:
        try:
            resampled = resampler.resample(frame)
        except BROKEN as error:
            # A header that claims thousands of channels or an absurd rate gets as far as this.
            raise unreadable(self.path.name) from error
        yield from _pcm(resampled)

    def _frames(self, container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
        marked = False
        for packet in self._packets(container, stream):
            # The demuxer marks what it could not read whole. At the very end of a file that is no damage but a writer
            # that never closed it; whether the end is missing, the promised length tells.
            self.damaged_packets += marked and packet.size > 0
            marked = False
            try:
                frames = packet.decode()
            except BROKEN:
                self.damaged_packets += 1
                continue
            marked = packet.is_corrupt
            for frame in frames:
                if frame.samples:
                    yield frame

    def _packets(self, container: InputContainer, stream: AudioStream) -> Iterator["Packet[AudioStream]"]:
        stuck = 0
        for _ in count():
            try:
                for packet in container.demux(stream):
                    stuck = 0
                    yield packet
            except BROKEN:
                self.damaged_packets += 1
                stuck += 1
                if stuck > _DEMUX_RETRIES:
                    return
            else:
                return


def _resampler() -> av.AudioResampler:
    return av.AudioResampler(format="s16", layout="mono", rate=RATE)


def _pcm(frames: list[AudioFrame]) -> Iterator[Pcm]:
    for frame in frames:
        yield frame.to_ndarray().ravel().astype(np.int16, copy=False)
