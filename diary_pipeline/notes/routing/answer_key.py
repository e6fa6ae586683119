"""Under which key an answer is kept: whatever changes the answer is in it, and nothing else.

The name of the route, its price and its key are not: renaming a route must not cost a second call.
"""

import hashlib
import json

from diary_pipeline.notes.providers.exchange import Prompt
from diary_pipeline.notes.routing.route import Route


def answer_key(route: Route, prompt: Prompt) -> str:
    """Give the SHA-256 of a question to a model; 64 characters, as long as a batch API's `custom_id` may be."""
    asked = {
        "provider": route.provider,
        "base_url": route.base_url,
        "model": route.model,
        "effort": route.effort,
        "extra": dict(route.extra),
        "system": prompt.system,
        "user": prompt.user,
        "schema": prompt.schema,
        "shape": prompt.shape,
        "max_output_tokens": prompt.max_output_tokens,
    }
    canonical = json.dumps(asked, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()
