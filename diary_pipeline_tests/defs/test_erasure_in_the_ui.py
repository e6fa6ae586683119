"""What Dagster's UI is told after an erasure, asked with its own GraphQL against a loaded code location."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster_graphql.test.utils import execute_dagster_graphql

from diary_pipeline.cli.home import WORKSPACE
from diary_pipeline_tests.defs.erasing import GONE, fill, finish, hide
from diary_pipeline_tests.defs.house import House

pytestmark = pytest.mark.slow
ASSETS = ("raw_audio", "transcript", "diary_note")
STATE = """query($keys: [String!]!, $asset: AssetKeyInput!) {
  assetNodeOrError(assetKey: $asset) { ... on AssetNode {
    partitionKeys
    partitionStats { numMaterialized numFailed numPartitions }
    latestMaterializationByPartition(partitions: $keys) { partition runId metadataEntries { label } }
    assetMaterializations { partition }
  } }
  runsOrError { ... on Runs { results { runId status tags { key value } runConfigYaml } } }
}"""
LOGS = """query($run: ID!) {
  logsForRun(runId: $run) { ... on EventConnection { events { ... on MessageEvent { message } } } }
}"""


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """A house whose settings a code server would load."""
    with House(tmp_path / "home") as found:
        for name, value in found.settings.environment().items():
            monkeypatch.setenv(name, value)
        yield found


def asked(context: Any, query: str, **variables: object) -> Any:
    """Return the data that GraphQL answers with."""
    answer = execute_dagster_graphql(context, query, variables)
    assert not answer.errors
    return answer.data


def test_the_partition_is_gone_from_every_page_and_the_other_is_as_it_was(house: House) -> None:
    gone, stays = fill(house)
    workspace = house.settings.dagster_home / "workspace.yaml"
    workspace.write_text(WORKSPACE)
    with WorkspaceProcessContext(house.instance, WorkspaceFileTarget([str(workspace)])) as location:

        def looked(asset: str) -> Any:
            return asked(location.create_request_context(), STATE, keys=[gone, stays], asset={"path": [asset]})

        before = {asset: looked(asset) for asset in ASSETS}
        hide(house, gone)
        finish(house)
        for asset in ASSETS:
            node, was = looked(asset)["assetNodeOrError"], before[asset]["assetNodeOrError"]
            assert set(was["partitionKeys"]) == {gone, stays}
            assert node["partitionKeys"] == [stays]
            assert node["partitionStats"] == {"numMaterialized": 1, "numFailed": 0, "numPartitions": 1}
            first, second = node["latestMaterializationByPartition"]
            assert (first, second) == (None, was["latestMaterializationByPartition"][1])
            assert node["assetMaterializations"] == [{"partition": stays}]
        runs = looked("transcript")["runsOrError"]["results"]
        assert [run["runId"] for run in runs] == [
            run["runId"] for run in before["transcript"]["runsOrError"]["results"]
        ]
        told = str(runs) + str([asked(location.create_request_context(), LOGS, run=run["runId"]) for run in runs])
        assert not [word for word in (gone, *GONE) if word in told.lower()]
        assert "erased" in told, "a tag that held the key says so"
