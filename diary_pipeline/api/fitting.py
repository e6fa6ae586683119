"""Why a field does not fit, in our words: what it may be, and nothing of what was sent.

pydantic finds it; its own sentences speak of inputs, strings and dictionaries, which a client never sent.
"""

from collections.abc import Mapping
from typing import Any

UNKNOWN_QUERY = "query_unknown"
"""Of our own: a parameter that the address does not know."""
_KINDS: Mapping[str, str] = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "decimal": "a number",
    "bool": "true or false",
    "list": "a list",
    "dict": "an object",
    "model": "an object",
    "date": "a day, written YYYY-MM-DD",
    "datetime": "a time, written as ISO 8601",
}
_WORDS: Mapping[str, str] = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
    "string_too_short": "may not be empty",
    "string_too_long": "may have {max_length} characters",
    "string_pattern_mismatch": "may not have spaces or letters beyond ASCII",
    "too_short": "may not be empty",
    "too_long": "may hold {max_length} at most",
}


def what_fits(fault: Mapping[str, Any]) -> str:
    """Say of one of pydantic's findings what its field may be, to stand behind the field's name."""
    kind, ctx = str(fault["type"]), fault.get("ctx") or {}
    if kind in _WORDS:
        return _WORDS[kind].format(**ctx)
    match kind:
        case "literal_error":
            return f"must be {str(ctx['expected']).replace(chr(39), '')}"
        case "value_error":
            return f"does not fit: {str(ctx['error']).rstrip('.')}"
        case _ if kind == UNKNOWN_QUERY:
            return f"is not known here; this address takes {', '.join(ctx['known']) or 'no parameters'}"
        case _:
            named = kind.partition("_")[0]
            return f"must be {_KINDS[named]}" if named in _KINDS else "does not fit"
