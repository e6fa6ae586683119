"""Which route takes which kind of body, and how large: one table, read before the first byte.

What surprises: `PUT /jobs/upload` takes any media type, JSON's too: what a file is, its bytes say (FEATURES 2).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.datastructures import Headers

from diary_pipeline.api.problems import Problem

ANY = "*/*"
JSON = "application/json"
FORM = "multipart/form-data"
TUS_PART = "application/offset+octet-stream"
FORM_BYTES = 1_000_000
"""What a form may hold beside its file: fields and the lines between them."""


@dataclass(frozen=True)
class Rule:
    """What the requests of a route may carry."""

    methods: frozenset[str]
    """Empty: all."""
    path: re.Pattern[str]
    takes: Mapping[str, int]
    """Media type -> most bytes."""

    def fits(self, method: str, path: str) -> bool:
        """Tell whether it is about such a request."""
        return (not self.methods or method in self.methods) and self.path.fullmatch(path) is not None

    def allowed_bytes(self, headers: Headers) -> int:
        """Give the most bytes of a body with these headers; Problem 400, 411, 413 or 415 for what it says of itself."""
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        most = self.takes.get(kind, self.takes.get(ANY))
        if most is None:
            known = " or ".join(self.takes)
            raise Problem(415, "media_type_unsupported", f"Send the body with Content-Type: {known}.")
        said = headers.get("content-length")
        if said is None or "transfer-encoding" in headers:  # which counts where both are said (RFC 9112, 6.3)
            if kind == JSON and ANY not in self.takes:  # who writes JSON has it whole before the first byte goes
                raise Problem(411, "length_required", "Say how long the body is (Content-Length).")
        elif not (said.isascii() and said.isdecimal()):
            raise Problem(400, "length_invalid", "Content-Length is no number.")
        elif int(said) > most:
            raise Problem(413, "body_too_large", f"The body has {said} bytes; at most {most} are taken here.")
        return most


def rules_of(json_bytes: int, file_bytes: int) -> tuple[Rule, ...]:
    """Give the rules of a deployment; the first that fits a request holds, and the last fits all."""
    form = {FORM: file_bytes + FORM_BYTES}
    json = {JSON: json_bytes}
    table: Sequence[tuple[str, str, Mapping[str, int]]] = (
        ("PUT", r"/jobs/upload", {ANY: file_bytes}),
        ("POST", r"/jobs", {**json, **form}),
        ("POST", r"/v1/audio/transcriptions", form),
        ("PATCH", r"/files/.*", {TUS_PART: file_bytes}),
        ("", r".*", json),
    )
    return tuple(Rule(frozenset(methods.split()), re.compile(path), takes) for methods, path, takes in table)


def rule_for(rules: Sequence[Rule], method: str, path: str) -> Rule:
    """Find the rule of a request."""
    return next(rule for rule in rules if rule.fits(method, path))
