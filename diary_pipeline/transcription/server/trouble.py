"""What it means when a transcription server does not answer as it should.

Pure but for the SDK's exception types. A server, key or model that does not work says nothing about a recording and
ends the batch; a request that the server finds fault with is about its audio, and only that recording fails.

What surprises: some failures do not tell which of the two they are (HTTP 500, no answer in time, nonsense). They are
about the audio when the server answered for other audio meanwhile: ending the batch would let one recording sink it.
Nobody may have asked meanwhile; then it is for the caller to find out whether others are answered after it.
"""

import re
from dataclasses import dataclass

from diary_pipeline.core.errors import DiaryError, PermanentError, ServiceMissing, TransientError

NOT_UNDERSTOOD = (400, 413, 415, 422)
"""The server says that the request is at fault."""


class Unreadable(ValueError):
    """An answer that is no transcription."""


class Unclear(TransientError):
    """The server is at fault, unless it answers for other audio; then `fault` of this audio is what went wrong."""

    def __init__(self, code: str, message: str, fault: PermanentError, answered: int) -> None:
        super().__init__(code, message)
        self.fault = fault
        self.answered = answered
        """What the server had answered by then."""


@dataclass(frozen=True)
class Trouble:
    """Failures of one server."""

    url: str
    model: str

    def of(self, error: Exception, key: str, *, answered: int = 0, before: int = 0) -> Exception:
        """Say what a failure to hear a part of recording `key` means; gives back what is none of the server's.

        `answered` counts what the server has answered, `before` what it had when it was asked.

        The server's own messages are left out: some quote what they were sent.
        """
        from openai import APIConnectionError, APITimeoutError

        status = getattr(error, "status_code", None)
        if isinstance(error, APITimeoutError | Unreadable) or status == 500:
            return self._unclear(error, key, answered, before)
        if isinstance(error, APIConnectionError):
            return ServiceMissing(
                "transcription_server_missing",
                f"Nothing answers at {self.url}: start the transcription server, or change DIARY_TRANSCRIPTION_URL.",
            )
        return error if status is None else self._refusal(error, int(status), key)

    def _refusal(self, error: Exception, status: int, key: str) -> DiaryError:
        if status in (401, 403):
            return ServiceMissing(
                "transcription_server_refused",
                f"The transcription server at {self.url} does not take our key (HTTP {status}): set "
                "DIARY_TRANSCRIPTION_API_KEY.",
            )
        if status == 404 or getattr(error, "param", None) == "model":
            return ServiceMissing(
                "transcription_model_missing",
                f"The transcription server at {self.url} knows no model {self.model}, or no transcriptions below that "
                f"address (HTTP {status}): check DIARY_WHISPER_MODEL and DIARY_TRANSCRIPTION_URL, which usually ends "
                "in /v1.",
            )
        if status in NOT_UNDERSTOOD:
            return PermanentError(
                "transcription_refused",
                f"The transcription server at {self.url} refused a part of recording {key} (HTTP {status}"
                f"{_code(error)}): see the server's log, or transcribe it with another engine.",
            )
        return TransientError(
            "transcription_server_busy",
            f"The transcription server at {self.url} keeps answering HTTP {status}: see its log; the work is tried "
            "again later.",
        )

    def _unclear(self, error: Exception, key: str, answered: int, before: int) -> DiaryError:
        does = "sends no transcription back" if isinstance(error, Unreadable) else "does not get done"
        fault = PermanentError(
            "transcription_stuck",
            f"The transcription server at {self.url} {does} with a part of recording {key}, while it answers for "
            "others: see the server's log, or transcribe it with another engine.",
        )
        if answered > before:
            return fault
        return Unclear(
            "transcription_server_stuck",
            f"The transcription server at {self.url} {does}: see its log, and check DIARY_TRANSCRIPTION_URL, which "
            "usually ends in /v1; the work is tried again later.",
            fault,
            answered,
        )


def _code(error: Exception) -> str:
    code = str(getattr(error, "code", None) or "")
    return f", {code}" if re.fullmatch(r"[a-z_]{1,40}", code) else ""
