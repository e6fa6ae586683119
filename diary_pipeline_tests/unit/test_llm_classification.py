"""What a failed call means: statuses, bodies and headers as the providers send them, and exceptions of any SDK."""

import json

import pytest

from diary_pipeline.notes.providers.classification import classify, explain, retry_after_s
from diary_pipeline.notes.providers.exchange import Failure, LLMError


def openai(code: object, message: str = "no", kind: str = "error") -> str:
    return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}})


def anthropic(kind: str, message: str = "no") -> str:
    return json.dumps({"type": "error", "error": {"type": kind, "message": message}})


def mistral(message: str, kind: str = "invalid_request_error", code: str = "3051") -> str:
    return json.dumps({"object": "error", "message": message, "type": kind, "param": None, "code": code})


LIMIT = (
    "Rate limit reached for gpt-x on tokens per min (TPM). You can increase your rate limit by adding a payment method "
    "to your account at https://platform.openai.com/account/billing."
)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, openai("rate_limit_exceeded", LIMIT, "tokens"), Failure.RATE_LIMITED),
        (429, openai("rate_limit_exceeded", "Request too large for gpt-x: limit 30000", "tokens"), Failure.TOO_LONG),
        (429, openai("insufficient_quota", "check your plan and billing details"), Failure.QUOTA),
        (400, openai("billing_hard_limit_reached"), Failure.QUOTA),
        (429, openai("resource_unavailable"), Failure.OVERLOADED),
        (400, openai("context_length_exceeded"), Failure.TOO_LONG),
        (400, openai("content_filter"), Failure.REFUSED),
        (404, openai("model_not_found"), Failure.MODEL),
        (400, openai(400, "exceeds the available context size", "exceed_context_size_error"), Failure.TOO_LONG),
        (400, openai(400, "JSON schema error at #", "invalid_request_error"), Failure.REJECTED),
        (503, openai(503, "Loading model", "unavailable_error"), Failure.OVERLOADED),
        (400, openai(400, "This model's maximum context length is 4096", "BadRequestError"), Failure.TOO_LONG),
        (403, openai(403, "Your input was flagged"), Failure.REFUSED),
        (403, openai("country_not_supported"), Failure.AUTH),
        (429, anthropic("rate_limit_error"), Failure.RATE_LIMITED),
        (429, anthropic("rate_limit_error", "would exceed your organization's spend limit"), Failure.QUOTA),
        (400, anthropic("invalid_request_error", "Your credit balance is too low"), Failure.QUOTA),
        (400, anthropic("invalid_request_error", "prompt is too long: 210000 tokens > 200000"), Failure.TOO_LONG),
        (529, anthropic("overloaded_error"), Failure.OVERLOADED),
        (500, anthropic("overloaded_error"), Failure.OVERLOADED),
        (413, anthropic("request_too_large"), Failure.TOO_LONG),
        (400, mistral("Prompt contains 40000 tokens, too large for model with 32768 maximum context length"),
         Failure.TOO_LONG),
        (400, mistral("Invalid model: mistral-x", "invalid_model", "1500"), Failure.MODEL),
        (401, json.dumps({"detail": "Unauthorized"}), Failure.AUTH),
        (422, json.dumps({"detail": [{"type": "missing", "msg": "Field required", "input": "the day was too long"}]}),
         Failure.REJECTED),
        (422, json.dumps({"object": "error", "message": {"detail": [{"type": "extra_forbidden", "msg": "no"}]}}),
         Failure.REJECTED),
        (408, "", Failure.TIMEOUT),
        (504, "<html>gateway</html>", Failure.TIMEOUT),
        (502, "<html>gateway</html>", Failure.SERVER),
        (409, "", Failure.SERVER),
        (302, "", Failure.SERVER),
        (418, "[]", Failure.REJECTED),
        (402, "null", Failure.QUOTA),
        (400, '{"error": "context length exceeded"}', Failure.TOO_LONG),
        (400, "[" * 100_000, Failure.REJECTED),
    ],
)  # fmt: skip
def test_a_status_and_a_body_say_why_there_is_no_answer(status: int, body: str, kind: Failure) -> None:
    assert classify(status, body).kind is kind


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "30"}, 30.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "2"}, 2.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry-after": "later"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
    ],
)
def test_retry_after_is_read_however_it_is_told(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers) == seconds


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (openai("rate_limit_exceeded"), "rate_limit_exceeded"),
        (openai(400, kind="exceed_context_size_error"), "exceed_context_size_error"),
        (openai("400", kind="BadRequestError"), "BadRequestError"),
        (openai("I was at the doctor today"), None),
        (openai("x" * 65), None),
    ],
)
def test_the_code_is_a_word_of_the_provider_or_nothing(body: str, code: str | None) -> None:
    assert classify(400, body).provider_code == code


def test_an_exception_that_no_call_explains_is_raised_again() -> None:
    with pytest.raises(ZeroDivisionError):
        explain(ZeroDivisionError())
    with pytest.raises(FileNotFoundError):
        explain(FileNotFoundError("cert.pem"))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TimeoutError(), Failure.TIMEOUT),
        (ConnectionResetError(), Failure.CONNECTION),
        (json.JSONDecodeError("no", "doc", 0), Failure.SERVER),
        (UnicodeEncodeError("ascii", "’", 0, 1, "no"), Failure.AUTH),
        (LLMError(Failure.QUOTA), Failure.QUOTA),
    ],
    ids=lambda value: type(value).__name__,
)
def test_exceptions_of_python_itself_are_understood(error: Exception, kind: Failure) -> None:
    assert explain(error).kind is kind
