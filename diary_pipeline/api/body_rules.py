"""Which route takes which kind of body, and how large: one table, read before the first byte.

What surprises: `PUT /jobs/upload` takes any media type, JSON's too: what a file is, its bytes say (FEATURES 2). The
parts of an upload (tus.py) have one of their own, which their route asks for in the words of its protocol.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.datastructures import Headers

from diary_pipeline.api.incoming import too_large as audio_too_large
from diary_pipeline.api.problems import Problem

ANY = "*/*"
JSON = "application/json"
FORM = "multipart/form-data"
FORM_BYTES = 1_000_000
"""What a form may hold beside its file: fields and the lines between them."""


@dataclass(frozen=True)
class Limit:
    """How large a body may be."""

    most_bytes: int
    too_large: Problem
    """The answer to a larger one."""


@dataclass(frozen=True)
class Rule:
    """What the requests of a route may carry."""

    methods: frozenset[str]
    """Empty: all."""
    path: re.Pattern[str]
    takes: Mapping[str, Limit]
    """By media type."""

    def fits(self, method: str, path: str) -> bool:
        """Tell whether it is about such a request."""
        return (not self.methods or method in self.methods) and self.path.fullmatch(path) is not None

    def limit(self, headers: Headers) -> Limit:
        """Give the limit of a body with these headers; Problem 400, 411, 413 or 415 for what it says of itself."""
        if headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
            raise Problem(415, "media_type_unsupported", "Send the body as it is, without a Content-Encoding.")
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        limit = self.takes.get(kind, self.takes.get(ANY))
        if limit is None:
            known = " or ".join(self.takes)
            raise Problem(415, "media_type_unsupported", f"Send the body with Content-Type: {known}.")
        said = headers.get("content-length")
        if said is not None and "transfer-encoding" in headers:
            # A proxy in front may have counted by the other one: the rest would be somebody's request (RFC 9112, 6.3).
            raise Problem(400, "length_invalid", "Say Content-Length or Transfer-Encoding, not both.")
        if said is None:
            if kind == JSON and ANY not in self.takes:  # who writes JSON has it whole before the first byte goes
                raise Problem(411, "length_required", "Say how long the body is (Content-Length).")
        elif not (said.isascii() and said.isdecimal()):
            raise Problem(400, "length_invalid", "Content-Length is no number.")
        elif int(said) > limit.most_bytes:
            raise limit.too_large
        return limit


def rules_of(json_bytes: int, file_bytes: int) -> tuple[Rule, ...]:
    """Give the rules of a deployment; the first that fits a request holds, and the last fits all."""
    file = Limit(file_bytes, audio_too_large(file_bytes))
    form = {FORM: Limit(file_bytes + FORM_BYTES, file.too_large)}
    said = f"The body is larger than {json_bytes} bytes, the most that is taken here."
    json = {JSON: Limit(json_bytes, Problem(413, "body_too_large", said))}
    table: Sequence[tuple[str, str, Mapping[str, Limit]]] = (
        ("PUT", r"/jobs/upload", {ANY: file}),
        ("POST", r"/jobs", {**json, **form}),
        ("POST", r"/v1/audio/transcriptions", form),
        ("POST PATCH", r"/files(/[^/]*)?", {ANY: file}),
        ("", r".*", json),
    )
    return tuple(Rule(frozenset(methods.split()), re.compile(path), takes) for methods, path, takes in table)


def rule_for(rules: Sequence[Rule], method: str, path: str) -> Rule:
    """Find the rule of a request."""
    return next(rule for rule in rules if rule.fits(method, path))
