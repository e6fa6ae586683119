"""What tests ask a running stack about: the published catalogue, and runs and partitions as the UI shows them."""

from typing import Any

import duckdb

from diary_pipeline_tests.stack.stack import Stack

GOING = "[STARTED, STARTING, QUEUED, NOT_STARTED, CANCELING]"


def sql(stack: Stack, query: str) -> list[tuple[Any, ...]]:
    """Ask the published catalogue; nothing before the first publish."""
    if not stack.settings.catalogue_file.exists():
        return []
    with duckdb.connect(str(stack.settings.catalogue_file), read_only=True) as conn:
        return conn.execute(query).fetchall()


def runs(stack: Stack, statuses: str | None = None) -> list[dict[str, Any]]:
    """The newest thousand runs, of these statuses or of all."""
    chosen = f"(filter: {{statuses: {statuses}}}, limit: 1000)" if statuses else "(limit: 1000)"
    said = stack.graphql("{ runsOrError%s { ... on Runs { results { runId status jobName } } } }" % chosen)  # noqa: UP031
    return list(said["runsOrError"]["results"]) if said else []


def running(stack: Stack) -> list[dict[str, Any]]:
    """The runs that have not ended."""
    return runs(stack, GOING)


def partition_counts(stack: Stack, asset: str) -> dict[str, int]:
    """How many partitions of an asset the UI shows green and red; tests may ask this, clients should not."""
    said = stack.graphql(
        "query($a: AssetKeyInput!) { assetNodeOrError(assetKey: $a) { ... on AssetNode {"
        " partitionStats { numMaterialized numFailed } } } }",
        {"a": {"path": [asset]}},
    )
    return dict(said["assetNodeOrError"]["partitionStats"])
