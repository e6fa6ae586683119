"""From the blocks of a recording to windows of speech, and what is to be known of the rest: every engine's front end.

Puts the steps in their order: seconds measured, quiet passages raised, speech found, windows cut. How each is done
stands in a file of its own.

What surprises: the seconds are measured before anything is raised. What was loud is asked of the recording as it was.
"""

from collections.abc import Iterable, Iterator, Sequence

from diary_pipeline.core.transcript import Segment
from diary_pipeline.transcription.heard import HeardWindow
from diary_pipeline.transcription.segments import segments_of
from diary_pipeline.transcription.speech.leveller import levelled
from diary_pipeline.transcription.speech.speech_activity import Silero
from diary_pipeline.transcription.speech.unheard import SecondMeter, unheard
from diary_pipeline.transcription.speech.windows import Window, WindowCutter, windows
from diary_pipeline.transcription.transcriber import Block


class SpeechOf:
    """One recording; what is known of all of it is complete when `windows` is exhausted."""

    def __init__(self) -> None:
        self._cutter = WindowCutter(Silero())
        self._meter = SecondMeter()

    def windows(self, blocks: Iterable[Block]) -> Iterator[Window]:
        """Give its speech, window by window; holds one block and one window, whatever its length."""
        return windows(levelled(self._meter.watch(blocks)), self._cutter)

    @property
    def samples(self) -> int:
        """How long it is."""
        return self._cutter.samples

    def segments(self, heard: Sequence[HeardWindow]) -> tuple[Segment, ...]:
        """Account for every sample, given what was understood of its windows."""
        return segments_of([*heard, *unheard(self._meter.levels, heard)], self.samples)
