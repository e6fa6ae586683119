"""Reading JSON that strangers send, by whatever way: as text and numbers that every store can hold and give back.

The standard library's own reading hands on what breaks later, in a transaction that others share: NaN, half an emoji,
a number of ten thousand digits, a thousand lists in each other.
"""

import json
from typing import Any, NoReturn

from diary_pipeline.core.errors import UsageError

INVALID = "json_invalid"
UNUSABLE = "json_unusable"
DEEPEST = 64
LONGEST_INTEGER = 300
"""Digits; far beyond what other languages read as a number."""
MOST_VALUES = 200_000
"""A batch of 1,000 recordings with every tag and every term has fewer; two megabytes of empty lists have more."""
MOST_METADATA_BYTES = 64 * 1024
MOST_METADATA_VALUES = 4_000


def parsed(body: bytes) -> Any:
    """Read JSON that can be stored and given back as it came; UsageError `json_invalid` or `json_unusable`."""
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_refuse, parse_int=_integer)
    except (ValueError, RecursionError):
        raise UsageError(INVALID, "The body is no JSON.") from None
    _check(value)
    return value


def check_metadata(value: object) -> None:
    """Refuse metadata that would weigh on whoever lists jobs: UsageError `metadata_too_large`."""
    level, values = [value], 0
    while level and values <= MOST_METADATA_VALUES:
        values += len(level)
        level = [inner for one in level for inner in _inside(one)]
    if level or values > MOST_METADATA_VALUES or len(json.dumps(value, ensure_ascii=False)) > MOST_METADATA_BYTES:
        raise UsageError(
            "metadata_too_large",
            f"metadata may have {MOST_METADATA_BYTES // 1024} KB and {MOST_METADATA_VALUES} values; keep the rest on "
            "your side.",
        )


def _inside(value: object) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _check(value: Any) -> None:
    """Refuse what JSON can say and no database or client takes."""
    level: list[Any] = [value]
    values = 0
    for _ in range(DEEPEST):
        if not level:
            return
        values += len(level)
        if values > MOST_VALUES:
            raise UsageError(UNUSABLE, f"The body has more than {MOST_VALUES} values.")
        inner: list[Any] = []
        for one in level:
            match one:
                case str():
                    _check_text(one)
                case float() if one in (float("inf"), float("-inf")):  # 1e999
                    raise UsageError(UNUSABLE, "A number in the body is too large.")
                case dict():
                    for name in one:
                        _check_text(name)
                    inner += one.values()
                case list():
                    inner += one
        level = inner
    if level:
        raise UsageError(UNUSABLE, f"The body has more than {DEEPEST} levels.")


def _check_text(text: str) -> None:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise UsageError(UNUSABLE, "The body holds half a character (a lone surrogate).") from None


def _refuse(_: str) -> NoReturn:
    raise ValueError


def _integer(digits: str) -> int:
    if len(digits) > LONGEST_INTEGER:
        raise UsageError(UNUSABLE, f"An integer in the body has more than {LONGEST_INTEGER} digits.")
    return int(digits)
