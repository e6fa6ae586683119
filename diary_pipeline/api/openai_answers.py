"""A transcript as OpenAI's transcription API writes it: json, text, srt, vtt, verbose_json; and its refusals.

Pure. Subtitles and text are those of the exports (transcription/renderers/). What surprises: `tokens`, `seek` and
`temperature` of a segment are inner matters of OpenAI's decoder that ours does not keep; typed clients look for the
fields, so they are there and empty.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import Response
from fastapi.responses import JSONResponse

from diary_pipeline.core.languages import CODES
from diary_pipeline.core.recording import Recording
from diary_pipeline.core.transcript import Segment, Transcript
from diary_pipeline.transcription.renderers.formats import RENDERERS

FORMATS = ("json", "text", "srt", "vtt", "verbose_json")
GRANULARITIES = ("segment", "word")
_RENDERED = {"text": "txt", "srt": "srt", "vtt": "vtt"}
_KINDS: Mapping[int, str] = {401: "invalid_api_key", 403: "insufficient_permissions", 429: "rate_limit_exceeded"}
_NAMES = {code: name for name, code in reversed(CODES.items())}
"""Code -> OpenAI's English name; the first of several."""


@dataclass(frozen=True)
class Answer:
    """How a client wants to be answered."""

    form: str
    granularities: frozenset[str] = frozenset()


def written(answer: Answer, recording: Recording, transcript: Transcript, job_id: str) -> Response:
    """Write a transcript; `X-Job-Id` names the job, whose note comes later."""
    headers = {"X-Job-Id": job_id}
    if answer.form in _RENDERED:
        text = RENDERERS[_RENDERED[answer.form]](recording, transcript)
        return Response(text, media_type="text/plain; charset=utf-8", headers=headers)
    body: dict[str, Any] = {"text": transcript.text}
    if answer.form == "verbose_json":
        body = _verbose(transcript, answer.granularities)
    usage = {"type": "duration", "seconds": round(transcript.duration_s, 3)}
    return JSONResponse({**body, "usage": usage}, headers=headers)


def refusal(status: int, code: str, message: str, headers: Mapping[str, str]) -> Response:
    """Write a refusal: `{"error": {"message", "type", "param", "code"}}`; 400 for what we call 422."""
    status = status_of(status)
    kind = _KINDS.get(status, "invalid_request_error" if status < 500 else "server_error")
    error = {"message": message, "type": kind, "param": "model" if code == "model_not_found" else None, "code": code}
    # What we refused once we refuse again, and what took too long goes on: sending half a gigabyte anew helps nobody.
    retried = "true" if status in (429, 503) else "false"
    return JSONResponse({"error": error}, status, {**headers, "x-should-retry": retried})


def status_of(status: int) -> int:
    """Give OpenAI's status for one of ours."""
    return 400 if status == 422 else status


def refusal_described(message: str) -> dict[str, Any]:
    """Describe a refusal for OpenAPI."""
    text = {"type": "string"}
    properties = {"message": text, "type": text, "code": text, "param": {"type": ["string", "null"]}}
    error = {"type": "object", "required": list(properties), "properties": properties}
    schema = {"type": "object", "required": ["error"], "properties": {"error": error}}
    return {"description": message, "content": {"application/json": {"schema": schema}}}


def _verbose(transcript: Transcript, granularities: frozenset[str]) -> dict[str, Any]:
    body: dict[str, Any] = {
        "task": "transcribe",
        "language": _NAMES.get(transcript.language or "", transcript.language or ""),
        "duration": round(transcript.duration_s, 3),
        "text": transcript.text,
    }
    if "segment" in granularities or not granularities:
        body["segments"] = [_segment(number, segment) for number, segment in enumerate(transcript.speech)]
    if "word" in granularities:
        body["words"] = [
            {"word": word.text, "start": word.start_s, "end": word.end_s}
            for segment in transcript.speech
            for word in segment.words
        ]
    return body


def _segment(number: int, segment: Segment) -> dict[str, Any]:
    return {
        "id": number,
        "seek": 0,
        "start": segment.start_s,
        "end": segment.end_s,
        "text": segment.text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": segment.avg_logprob,
        "compression_ratio": segment.compression_ratio,
        "no_speech_prob": segment.no_speech_prob,
    }
