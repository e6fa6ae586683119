"""Reading JSON that strangers send, by whatever way: as text and numbers that every store can hold and give back.

The standard library's own reading hands on what breaks later, in a transaction that others share: NaN, half an emoji,
a number of ten thousand digits, a thousand lists in each other, a name twice.
"""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

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


@dataclass(frozen=True)
class _Wrong:
    """Stands where something cannot be read, until it is known in which field that is."""

    code: str
    why: str


def parsed(body: bytes, field: str | None = None) -> Any:
    """Read JSON that can be stored and given back as it came; UsageError `json_invalid` or `json_unusable`.

    `field`: all of it is what that field says. Of an object that is the body, a refusal names the field that is wrong.
    """
    what = f"The field {field}" if field else "The body"
    try:
        value = json.loads(
            body.decode("utf-8"),
            parse_constant=lambda _: _Wrong(INVALID, "is no JSON: it holds NaN or Infinity"),
            parse_int=_integer,
            object_pairs_hook=_each_once,
        )
    except ValueError:
        raise UsageError(INVALID, f"{what} is no JSON.") from None
    except RecursionError:
        raise UsageError(UNUSABLE, f"{what} has more than {DEEPEST} levels.") from None
    if field or not isinstance(value, dict):
        _check(value, what, DEEPEST, MOST_VALUES)
        return value
    left = MOST_VALUES - _check(list(value), what, 2, MOST_VALUES)
    for name, one in value.items():
        left -= _check(one, f"The field {name[:40]}", DEEPEST - 1, left)
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


def _check(value: Any, what: str, deepest: int, most_values: int) -> int:
    """Refuse what JSON can say and no database or client takes; return of how many values it is."""
    level: list[Any] = [value]
    values = 0
    for _ in range(deepest):
        values += len(level)
        if values > most_values:
            raise UsageError(UNUSABLE, f"The body has more than {MOST_VALUES} values.")
        inner: list[Any] = []
        for one in level:
            match one:
                case _Wrong():
                    raise UsageError(one.code, f"{what} {one.why}.")
                case str():
                    _check_text(one, what)
                case float() if one in (float("inf"), float("-inf")):  # 1e999
                    raise UsageError(UNUSABLE, f"{what} holds a number that is too large.")
                case dict():
                    for name in one:
                        _check_text(name, what)
                    inner += one.values()
                case list():
                    inner += one
        if not inner:
            return values
        level = inner
    raise UsageError(UNUSABLE, f"{what} has more than {DEEPEST} levels.")


def _check_text(text: str, what: str) -> None:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise UsageError(UNUSABLE, f"{what} holds half a character (a lone surrogate).") from None


def _integer(digits: str) -> int | _Wrong:
    if len(digits) > LONGEST_INTEGER:
        return _Wrong(UNUSABLE, f"holds an integer of more than {LONGEST_INTEGER} digits")
    return int(digits)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _Wrong:
    """Make an object; of a name that is said twice each reader takes another value, so neither is taken."""
    said = dict(pairs)
    if len(said) == len(pairs):
        return said
    twice = next(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
    return _Wrong(UNUSABLE, f"says {twice[:40]!a} twice in one object")
