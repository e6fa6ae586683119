"""What a failed call means, for every provider alike: from a status and a body, or from an SDK's exception.

Needs no SDK: exceptions are told by the names of their classes and by the response they carry, so that handling an
error imports nothing. What a failure means for a route is routing/'s business.

The surprise: bodies are searched for words and never kept. Providers quote what they were sent (a 422 echoes the whole
input), so of a body only the provider's own code survives, and only if it looks like a code.
"""

import datetime as dt
import json
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Any

from diary_pipeline.notes.providers.exchange import Failure, LLMError

UNREADABLE = "unreadable_response"
"""Code of an answer with status 200 that is none: a captive portal, a cut body, another protocol."""

_TOO_LONG = re.compile(
    r"context.?(length|window)|exceed_context_size|available context size|too long|maximum context|too many tokens"
    r"|exceeds? the (maximum|context)|token limit|request too large|string_above_max_length",
    re.IGNORECASE,
)
_FILTERED = re.compile(r"content.?(filter|policy|management)|moderation|safety|flagged", re.IGNORECASE)
# Not "billing" alone: OpenAI ends an ordinary rate limit with the address of its billing page.
_QUOTA = re.compile(
    r"insufficient.?quota|current quota|credit|spend(ing)?.?limit|usage limits|billing.?(hard|limit|detail|not)"
    r"|quota.?exceeded",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(r"invalid.?model|model.?not.?found|unknown.?model", re.IGNORECASE)
_BUSY = re.compile(r"overloaded|resource.?unavailable", re.IGNORECASE)
_URL = re.compile(r"https?://\S+")
_CODE = re.compile(r"[A-Za-z0-9_.:-]{1,64}")

_TIMEOUTS = {"APITimeoutError", "TimeoutException"}
_NEVER_CONNECTED = {"ConnectTimeout", "PoolTimeout"}
_DISCONNECTED = {"APIConnectionError", "RequestError", "NoResponseError"}
_UNREADABLE = {"APIResponseValidationError", "ResponseValidationError"}


def classify(status: int, body: str, headers: Mapping[str, str] | None = None) -> LLMError:
    """Tell from what every provider sends, the status and the body's error words, why there is no answer."""
    told = _error_in(body)
    # llama.cpp and vLLM put the status into `code` and the word into `type`; OpenAI does it the other way round.
    code = next((c for c in (told.get("code"), told.get("type")) if isinstance(c, str) and not c.isdigit()), None)
    headers = headers or {}
    return LLMError(
        _kind(status, " ".join(_URL.sub("", word) for word in _words(told, body))),
        status=status,
        retry_after_s=retry_after_s(headers),
        request_id=as_code(headers.get("request-id") or headers.get("x-request-id")),
        provider_code=as_code(code),
    )


def _kind(status: int, words: str) -> Failure:
    in_request = status in (400, 422)
    table = (
        (Failure.REFUSED, status == 403 and re.search("moderation|flagged", words, re.IGNORECASE)),
        (Failure.AUTH, status in (401, 403)),
        (Failure.OVERLOADED, status in (503, 529) or _BUSY.search(words)),
        (Failure.TOO_LONG, status == 413 or (in_request and _TOO_LONG.search(words))),
        # A request above a whole minute's tokens: no waiting makes it fit.
        (Failure.TOO_LONG, status == 429 and "request too large" in words.lower()),
        (Failure.QUOTA, status == 402 or (status in (400, 429) and _QUOTA.search(words))),
        (Failure.RATE_LIMITED, status == 429),
        (Failure.MODEL, status == 404 or (in_request and _NO_MODEL.search(words))),
        (Failure.REFUSED, in_request and _FILTERED.search(words)),
        (Failure.TIMEOUT, status in (408, 504)),
        # A redirect is not followed: the diary would go where nobody configured it.
        (Failure.SERVER, status >= 500 or status == 409 or status < 400),
    )
    return next((kind for kind, applies in table if applies), Failure.REJECTED)


def _error_in(body: str) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    inner = told.get("error", told) if isinstance(told, dict) else {}
    return inner if isinstance(inner, dict) else {"message": inner}


def _words(told: Mapping[str, Any], body: str) -> list[str]:
    """Give the provider's own words, not the `input` that a 422 echoes: a diary may say that a day was too long."""
    details = told.get("detail") or told.get("message")
    if isinstance(details, dict):
        details = details.get("detail")
    of_details = [d for d in details if isinstance(d, dict)] if isinstance(details, list) else []
    said = [told.get("type"), told.get("code"), details if isinstance(details, str) else None]
    said += [detail.get(name) for detail in of_details for name in ("type", "msg")]
    return [str(word) for word in said if word] or ([] if told else [body[:500]])


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Read Retry-After as seconds, whole or not, as a date, or as milliseconds of `retry-after-ms`."""
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        if (told := headers.get(name)) is None:
            continue
        try:
            seconds = float(told) / scale
        except ValueError:
            try:
                seconds = (parsedate_to_datetime(told) - dt.datetime.now(dt.UTC)).total_seconds()
            except (ValueError, TypeError):  # no date, or one without a zone
                continue
        if math.isfinite(seconds):
            return max(0.0, seconds)
    return None


def as_code(told: object) -> str | None:
    """Give a provider's word only if it looks like a code: anything else might be what was sent to it."""
    return told if isinstance(told, str) and _CODE.fullmatch(told) else None


def explain(error: Exception) -> LLMError:
    """Tell what an exception out of any SDK means; one that no call explains is a defect of ours, and raised again."""
    if isinstance(error, LLMError):
        return error
    # The SDKs wrap what httpx2 raised; the reason is one exception deeper.
    names = {c.__name__ for e in (error, error.__cause__) if e is not None for c in type(e).__mro__}
    response = getattr(error, "raw_response", None) or getattr(error, "response", None)
    is_answer = bool(names & _UNREADABLE) or isinstance(error, (json.JSONDecodeError, UnicodeDecodeError))
    if response is not None and not is_answer and response.status_code >= 300:
        return classify(response.status_code, _text_of(response), response.headers)
    table = (
        (Failure.SERVER, is_answer or response is not None),
        # A key with a line end or a curly quote in it: no header can carry it, nothing was sent.
        (Failure.AUTH, "LocalProtocolError" in names or isinstance(error, UnicodeEncodeError)),
        (Failure.CONNECTION, names & _NEVER_CONNECTED),
        (Failure.TIMEOUT, names & _TIMEOUTS or isinstance(error, TimeoutError)),
        (Failure.CONNECTION, names & _DISCONNECTED or isinstance(error, ConnectionError)),
    )
    for kind, applies in table:
        if applies:
            return LLMError(kind, provider_code=UNREADABLE if kind is Failure.SERVER else None)
    raise error


@contextmanager
def explained() -> Iterator[None]:
    """Turn whatever an SDK raises in here into an LLMError, without the original: its message may quote the diary."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - explain() raises again what no call explains
        raise explain(error) from None


def _text_of(response: Any) -> str:
    try:
        return str(response.text)
    except Exception:  # noqa: BLE001 - a body that was never read; its status says enough
        return ""
