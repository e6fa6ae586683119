"""What can go wrong, as one tree.

    DiaryError                 code, message, transient?
    ├── PermanentError         trying again changes nothing
    │   ├── AudioRefused       the audio itself (codes `audio_*`)
    │   ├── UsageError         wrong arguments or configuration (exit code 2)
    │   └── NotFound           a key, file or object that is not there
    └── TransientError         the same call may succeed later
        ├── ServiceMissing     a needed service or model is not there (exit code 3)
        ├── Fenced             somebody else holds the lease now
        └── Stopped            a person asked to stop

A message is one sentence that says what happened, to which recording, and what to do next. It never holds diary text.
"""

from typing import ClassVar


class DiaryError(Exception):
    """Anything this product raises on purpose; `code` is stable and may be scripted against."""

    transient: ClassVar[bool] = False

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class PermanentError(DiaryError):
    """Trying again with the same input fails again."""


class AudioRefused(PermanentError):
    """The audio cannot become a note; the code says why (FEATURES names: `audio_empty`, `audio_truncated`, ...)."""


class UsageError(PermanentError):
    """The caller asked for something that cannot be: an unknown model name, a broken configuration file."""


class NotFound(PermanentError):
    """A recording, file or stored object that was asked for by name does not exist."""


class TransientError(DiaryError):
    """The world may change: retry later."""

    transient = True


class ServiceMissing(TransientError):
    """A database, model or program that is needed is not there; the message names the setting and the command."""


class Stopped(TransientError):
    """Somebody pressed Ctrl-C: the batch ends with the recording at hand, and nothing that is done is lost."""


class Fenced(TransientError):
    """The lease was taken over; whatever was computed under it must be dropped."""
