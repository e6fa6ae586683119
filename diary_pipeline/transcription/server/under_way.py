"""Windows under way to a server: which are asked about, which recordings they belong to, and who is at fault.

Sends nothing: asking is handed in. What a failure means by itself is trouble.py's business.

What surprises: some failures say nothing by themselves. The recording is then set aside until it is clear whether
anything is answered after it: ending the run would let one window end each run.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait

from diary_pipeline.core.errors import TransientError
from diary_pipeline.transcription.checkpoints import kept_parts
from diary_pipeline.transcription.heard import HeardWindow
from diary_pipeline.transcription.server.connection import TranscriptionServer
from diary_pipeline.transcription.server.trouble import Unclear
from diary_pipeline.transcription.span import RATE
from diary_pipeline.transcription.speech.recording import SpeechOf
from diary_pipeline.transcription.speech.windows import Window
from diary_pipeline.transcription.spoken import may_come, spoken_language
from diary_pipeline.transcription.transcriber import Heard, ToHear

Parts = tuple[HeardWindow, ...]
"""What was made of one window."""


class Opened:
    """One recording on its way through: windows go out in order, come back in any, are put together in order."""

    def __init__(self, recording: ToHear, only: str | None, model: str) -> None:
        """`only` is the one language that the model knows; None: nobody says."""
        self.recording = recording
        self.language: str | None = None
        self.error: Exception | None = None
        self.read = False
        self._only = only
        self._model = model
        self._speech = SpeechOf()
        self._windows: Iterator[Window] | None = None
        self._finished: Mapping[int, Sequence[HeardWindow]] = {}
        self._parts: dict[int, Sequence[HeardWindow]] = {}
        self._count = 0
        self._waiting = 0

    def next(self) -> Window | None:
        """Give the next window that nobody has heard yet."""
        try:
            if self._windows is None:
                may = may_come(self.recording.hints, (self._only,) if self._only else (), self._model)
                self.language = may[0] if len(may) == 1 else None
                checkpoints = self.recording.checkpoints
                self._finished = checkpoints.finished() if checkpoints else {}
                self._windows = self._speech.windows(self.recording.blocks())
            for window in self._windows:
                parts = kept_parts(self._finished, self._count, window, self.recording.key)
                if parts is None:
                    return window
                self._parts[self._count] = parts
                self._count += 1
        except TransientError:
            raise
        except Exception as error:  # noqa: BLE001 - the caller's to judge, and the others go on
            self.error = error
        return None

    def wait_for_one(self) -> int:
        """Count a window that was asked about, and give its number."""
        self._waiting += 1
        self._count += 1
        return self._count - 1

    def came_back(self, number: int, answer: "Future[Parts]") -> None:
        """Keep what was heard in a window, or why it was not."""
        self._waiting -= 1
        try:
            parts = answer.result()
            if self.recording.checkpoints:
                self.recording.checkpoints.finish(number, parts)
            self._parts[number] = parts
            self.recording.progress(parts[-1].spans[-1].end / RATE)
        except TransientError as error:
            if not isinstance(error, Unclear):
                raise
            self.error = self.error or error
        except Exception as error:  # noqa: BLE001 - as above
            self.error = self.error or error

    @property
    def ended(self) -> bool:
        """Whether its audio is read and nothing is under way."""
        return self.read and not self._waiting

    def result(self) -> Heard | Exception:
        """Put the windows together."""
        if self.error:
            return self.error
        try:
            heard = [part for number in sorted(self._parts) for part in self._parts[number]]
            language, probability = spoken_language(heard, self.language)
            return Heard(self._speech.samples, language, probability, self._speech.segments(heard))
        except Exception as error:  # noqa: BLE001 - as above
            return error


class Run:
    """The windows that are asked about, and the recording that is set aside.

    What is answered after it convicts it; with a second one and no answer between the two, it is the server.
    """

    def __init__(
        self, server: TranscriptionServer, ask: "Callable[[Window, ToHear, str | None], Future[Parts]]"
    ) -> None:
        self.asked: dict[Future[Parts], tuple[Opened, int, Window]] = {}
        self._server = server
        self._ask = ask
        self._doubt: tuple[Opened, Unclear] | None = None
        self._good: tuple[Window, ToHear, str | None] | None = None

    def ask(self, opened: Opened, window: Window) -> None:
        """Ask about the next window of a recording."""
        answer = self._ask(window, opened.recording, opened.language)
        self.asked[answer] = (opened, opened.wait_for_one(), window)

    def settled(self) -> Iterator[tuple[str, Heard | Exception]]:
        """Wait for an answer, and give the recordings that are complete with it."""
        for answer in wait(self.asked, return_when=FIRST_COMPLETED).done:
            opened, number, window = self.asked.pop(answer)
            opened.came_back(number, answer)
            if not answer.exception():
                self._good = (window, opened.recording, opened.language)
            yield from self._judged(opened)

    def done(self, opened: Opened) -> Iterator[tuple[str, Heard | Exception]]:
        """Give a recording when it is complete and in no doubt."""
        if opened.ended and not (self._doubt and self._doubt[0] is opened):
            yield opened.recording.key, opened.result()

    def cleared_up(self) -> Iterator[tuple[str, Heard | Exception]]:
        """Give the one in doubt, when nothing is asked any more; or raise, because the server is at fault."""
        if self._doubt is None:
            return
        if self._good:  # nobody came after it: what was answered before it is asked about again
            wait([self._ask(*self._good)])
        yield from self._judged(self._doubt[0])
        if self._doubt:
            raise self._doubt[1]

    def _judged(self, opened: Opened) -> Iterator[tuple[str, Heard | Exception]]:
        if self._doubt and self._server.answered > self._doubt[1].answered:
            guilty, unclear = self._doubt
            guilty.error = unclear.fault
            self._doubt = None
            if guilty is not opened:
                yield from self.done(guilty)
        if isinstance(opened.error, Unclear):
            if self._doubt and self._doubt[0] is not opened:
                raise opened.error
            self._doubt = (opened, opened.error)
        yield from self.done(opened)
