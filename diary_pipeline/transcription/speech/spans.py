"""Where speech lies: probabilities of single frames in, padded spans out.

Pure integers: frames of 512 samples, spans in samples of the recording. Making the probabilities is
speech_activity.py's business, cutting audio into windows is windows.py's.

What surprises: the rules are those of faster-whisper's `get_speech_timestamps`, restated so that a span comes out as
soon as its end can no longer change, instead of after the last sample. Both give the same spans, which a test holds
them to.
"""

from dataclasses import dataclass

from diary_pipeline.transcription.span import RATE, Span

FRAME = 512


@dataclass(frozen=True)
class SpeechRules:
    """When frames count as speech; the defaults are those that faster-whisper uses for batches."""

    threshold: float = 0.5
    min_silence_ms: int = 160
    pad_ms: int = 400
    max_s: float = 30.0

    @property
    def low(self) -> float:
        """Below this a running span may end."""
        return max(self.threshold - 0.15, 0.01)

    @property
    def pad(self) -> int:
        """Samples given to each side of a span."""
        return self.pad_ms * RATE // 1000

    @property
    def min_silence(self) -> float:
        """Samples of silence that end a span."""
        return self.min_silence_ms * RATE / 1000

    @property
    def max_speech(self) -> float:
        """Samples after which a span is cut, so that it fits a window with its padding."""
        return RATE * self.max_s - FRAME - 2 * self.pad


CUT_AT_SILENCE = RATE * 98 / 1000
"""A span that is too long for a window is cut at its last silence longer than this, or right there when it has none."""


class SpanFinder:
    """Takes one probability per frame; `needed_from` says which samples may still become part of a span."""

    def __init__(self, rules: SpeechRules) -> None:
        self.rules = rules
        self._frames = 0
        self._speaking_since: int | None = None
        self._maybe_ended_at = self._last_pause = self._resumed_at = 0
        self._closed: Span | None = None  # padded in front; its end waits for the next span or for enough silence
        self._lead = rules.pad

    def frame(self, probability: float) -> list[Span]:
        """Take the next frame and return the spans that are settled now."""
        at = FRAME * self._frames
        self._frames += 1
        is_speech = probability >= self.rules.threshold
        if is_speech and self._maybe_ended_at:
            self._maybe_ended_at = 0
            if self._resumed_at < self._last_pause:
                self._resumed_at = at
        if is_speech and self._speaking_since is None:
            return self._begin(at)
        done: list[Span] = []
        if self._speaking_since is not None and at - self._speaking_since > self.rules.max_speech:
            pause, resumed = self._last_pause, self._resumed_at
            self._end(self._speaking_since, pause or at)
            if not pause:
                return done
            if resumed >= pause:
                done += self._begin(resumed)
        if probability < self.rules.low and self._speaking_since is not None:
            self._maybe_ended_at = self._maybe_ended_at or at
            if at - self._maybe_ended_at > CUT_AT_SILENCE:
                self._last_pause = self._maybe_ended_at
            if at - self._maybe_ended_at >= self.rules.min_silence:
                self._end(self._speaking_since, self._maybe_ended_at)
        if self._speaking_since is None and self._closed and at >= self._closed.end + 2 * self.rules.pad:
            done += self._settle(None)
        return done

    def close(self, samples: int) -> list[Span]:
        """Return what is left when the recording ends at `samples`."""
        if self._speaking_since is not None:
            self._end(self._speaking_since, samples)
        return self._settle(None, samples)

    @property
    def needed_from(self) -> int:
        """The first sample that may still become part of a span."""
        needed = [FRAME * self._frames - 2 * self.rules.pad - FRAME]
        if self._speaking_since is not None:
            needed.append(self._speaking_since - self.rules.pad)
        if self._closed:
            needed.append(self._closed.start)
        return max(0, min(needed))

    def _begin(self, at: int) -> list[Span]:
        done = self._settle(at)
        self._speaking_since = at
        return done

    def _end(self, start: int, end: int) -> None:
        self._closed = Span(max(0, start - self._lead), end)
        self._lead = self.rules.pad
        self._speaking_since = None
        self._maybe_ended_at = self._last_pause = self._resumed_at = 0

    def _settle(self, next_start: int | None, samples: int | None = None) -> list[Span]:
        # The closed span gets its end padding: half of a short silence, or the whole pad.
        if self._closed is None:
            return []
        span, self._closed = self._closed, None
        gap = None if next_start is None else next_start - span.end
        if gap is not None and gap < 2 * self.rules.pad:
            self._lead = gap // 2
            return [Span(span.start, span.end + gap // 2)]
        self._lead = self.rules.pad
        end = span.end + self.rules.pad
        return [Span(span.start, end if samples is None else min(samples, end))]
