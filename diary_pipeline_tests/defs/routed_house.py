"""A whole house whose notes are written by routes over loopback, and the file that names those routes."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dagster as dg

from diary_pipeline_tests.defs.house import CountingTranscriber, House
from diary_pipeline_tests.provider_servers import ProviderDouble

KEY = "sk-canary-4711-key"
SAID = (
    "I walked along the river with Priya this morning.",
    "We talked about her new job at the harbour.",
    "Then I bought bread and two lemons on the way home.",
    "In the afternoon I read on the balcony until it rained.",
    "I need to repair the bicycle by Friday.",
)


@contextmanager
def routed_house(
    folder: Path,
    *servers: ProviderDouble,
    said: Sequence[str] = (" ".join(SAID),),
    config_more: str = "",
    changes: Mapping[str, object] | None = None,
    **environment: str,
) -> Iterator[House]:
    """Open a house with a route over each server, tried in this order; `said` holds the words of each recording.

    `changes` are made in every route, `config_more` follows in the file.
    """
    folder.mkdir(exist_ok=True)
    config = folder / "diary.toml"
    config.write_text("".join(_route(server, tier, changes or {}) for tier, server in enumerate(servers)) + config_more)
    with ExitStack() as stack:
        house = stack.enter_context(House(folder / "home", DIARY_CONFIG=str(config), STUB_API_KEY=KEY, **environment))
        house.wiring.ears = CountingTranscriber(said)
        yield house


def write_again(house: House, key: str) -> dg.ExecuteInProcessResult:
    """Launch `write_notes` for one partition, as a person does on the asset page."""
    return house.defs.resolve_job_def("write_notes").execute_in_process(
        instance=house.instance, partition_key=key, raise_on_error=False
    )


def _route(server: ProviderDouble, tier: int, changes: Mapping[str, object]) -> str:
    row: dict[str, object] = {
        "name": server.provider,
        "provider": server.provider,
        "model": f"{server.provider}-model",
        "base_url": server.url,
        "api_key_env": "STUB_API_KEY",
        "timeout_s": 20,
        "tier": tier,
        **changes,
    }
    price = "price = {input = 1.0, output = 2.0, as_of = 2026-11-22}"
    return "\n".join(["[[llm.routes]]", *(f"{name} = {json.dumps(value)}" for name, value in row.items()), price, ""])
