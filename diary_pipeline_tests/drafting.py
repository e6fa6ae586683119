"""What models write in tests: honest drafts made of the lines that they are shown, and dishonest ones.

No rule of the product decides what stands here; a draft is made of the request, as a model makes it.
"""

import json
import re
from typing import Any

from diary_pipeline_tests.provider_servers import Asked

_LINE = re.compile(r"^\[(\d+)\] (.+)$", re.MULTILINE)
_TO_DO = re.compile(r"\bI (?:need|have) to\b")


def lines_of(asked: Asked) -> list[tuple[int, str]]:
    """The diary as the model is shown it."""
    return [(int(number), text) for number, text in _LINE.findall(asked.text)]


def draft_of(asked: Asked) -> dict[str, Any]:
    """An honest draft: every claim is a line, the summary the first and the last ones, the title the first words."""
    lines = lines_of(asked)
    told = [text for _, text in lines]
    claims = [{"text": text, "quote": text, "segment": number} for number, text in lines]
    return {
        "events": [c for c in claims if not _TO_DO.search(str(c["text"]))][:10],
        "reflections": [],
        "actions": [c for c in claims if _TO_DO.search(str(c["text"]))][:12],
        "people": [],
        "places": [],
        "topics": [],
        "quotes": told[:1],
        "said_date": None,
        "mood": "neutral",
        "summary": " ".join([*told[:3], *told[-2:]] if len(told) > 5 else told),
        "title": " ".join(told[0].rstrip(".").split()[1:7]),
    }


def head_of(asked: Asked) -> dict[str, Any]:
    """An honest head of a long recording."""
    draft = draft_of(asked)
    return {name: draft[name] for name in ("mood", "topics", "summary", "title")}


def honest(asked: Asked) -> str:
    """Answer whatever is asked: a whole draft, what was found, or a head."""
    said = json.dumps(asked.body)
    draft = draft_of(asked)
    if '"said_date"' in said:
        return json.dumps(draft)
    if '"summary"' in said:
        return json.dumps(head_of(asked))
    texts = {name: [c["text"] for c in draft[name]][:4] for name in ("events", "reflections", "actions")}
    return json.dumps({**texts, "people": [], "places": []})


def changed(asked: Asked, **changes: Any) -> str:
    """Answer an honest draft with something else in it."""
    return json.dumps({**draft_of(asked), **changes})
