"""From what a provider answered to a `Completion`: how it ended, and whether the model saw the whole question.

The adapters hand over plain values; SDK types stop there. The surprise: a cut answer may be no reason to allow a longer
one. Where the context is full, more output makes it worse.
"""

from diary_pipeline.notes.providers.classification import as_code
from diary_pipeline.notes.providers.exchange import Completion, Failure, LLMError, Prompt, Usage
from diary_pipeline.notes.providers.sizing import least_tokens
from diary_pipeline.notes.routing.route import Route

SEEN_SHARE = 0.6
"""Ollama cuts a prompt to its own context (4,096 tokens by default) and answers 200; the bill shows it."""

_CUT = {"length", "max_tokens"}
_CONTEXT_FULL = {"model_length", "model_context_window_exceeded"}
_REFUSED = {"content_filter", "refusal"}


def completed(
    route: Route, prompt: Prompt, *, ended: str | None, text: str, usage: Usage, model: object, request_id: object
) -> Completion:
    """Say how an answer ended; LLMError where the provider itself says that it broke off with an error."""
    if ended == "error":
        raise LLMError(Failure.SERVER, request_id=as_code(request_id))
    return Completion(
        text, usage, name_of(model) or route.model, as_code(request_id), _failure(route, prompt, ended, text, usage)
    )


def _failure(route: Route, prompt: Prompt, ended: str | None, text: str, usage: Usage) -> Failure | None:
    if ended in _CONTEXT_FULL or _saw_less(route, prompt, usage):
        return Failure.TOO_LONG
    if ended in _CUT:
        # llama.cpp ends so when prompt and answer fill its context: then much less was written than was allowed.
        full = 0 < usage.output < 0.9 * prompt.max_output_tokens
        return Failure.TOO_LONG if full else Failure.TRUNCATED
    return Failure.REFUSED if ended in _REFUSED or not text.strip() else None


def _saw_less(route: Route, prompt: Prompt, usage: Usage) -> bool:
    own_server = route.local or route.base_url is not None
    return own_server and 0 < usage.input < SEEN_SHARE * least_tokens(prompt.system + prompt.user)


def name_of(model: object) -> str | None:
    """Give a model's name as a server tells it; None for what does not look like one."""
    if not isinstance(model, str):
        return None
    return model if all(as_code(part) for part in model.removeprefix("/").split("/")) else None


def is_another_model(route: Route, answer: Completion) -> bool:
    """Tell whether a server of one's own answered with other weights than the route names; snapshots are the same."""
    if not (route.local or route.base_url):
        return False
    return answer.model != route.model and not answer.model.startswith(route.model + "-")
