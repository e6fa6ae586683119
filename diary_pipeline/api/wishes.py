"""What is asked for beside bytes, said as texts: fields of a form, a query, headers, metadata of an upload in parts.

They are the fields of models.py and come out as them; here is only how a text stands for a list or for JSON. The
surprise: a list may be said as one text with commas, or by a field that is there several times.
"""

from collections.abc import Mapping, Sequence

from diary_pipeline.api.bodies import checked, parsed
from diary_pipeline.api.models import Wishes
from diary_pipeline.api.problems import Problem

LISTS = ("tags", "vocabulary")
JSON = ("metadata",)


def wishes_of(told: Mapping[str, Sequence[str]], where: str) -> Wishes:
    """Read what is asked for; an empty text asks for nothing. Problem 400 or 422 names the field that does not fit."""
    said: dict[str, object] = {}
    for name, texts in told.items():
        given = [text for text in texts if text]
        if name in LISTS:
            said[name] = [word.strip() for text in given for word in text.split(",")]
        elif len(given) > 1:
            raise Problem(422, "field_repeated", f"The field {name[:40]} can be said once only.")
        elif given:
            said[name] = parsed(given[0].encode("utf-8", "replace"), name) if name in JSON else given[0]
    return checked(said, Wishes, where)
