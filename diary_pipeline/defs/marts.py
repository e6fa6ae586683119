"""The dbt project as assets: a model is an asset, a test is a check, the sources are our own assets.

Everything is read from dbt's manifest and built by dbt in a process of its own. `@dbt_assets` is not used, because it
loads dbt into every process of the code location (docs/decisions/0002); a test holds these specs to the ones it makes.

What surprises: it is all or nothing. A build of some models would leave the others of another watermark, and nobody
could say of which. Where a test fails the old marts stay, and no model is shown as materialised.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from diary_pipeline.catalogue.dbt_notes.build import Built, Marts, Step
from diary_pipeline.catalogue.dbt_notes.manifest import Manifest
from diary_pipeline.defs.held import Leases
from diary_pipeline.wiring.publish_process import PublishProcess

GROUPS = ("staging", "intermediate", "marts")


def marts_assets(manifest: Manifest) -> dg.AssetsDefinition:
    """Give the assets of the dbt project."""
    models = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    tests = {unique_id: key for unique_id in manifest["nodes"] if (key := _check_key(manifest, unique_id))}
    assets = {model["unique_id"]: _key(model) for model in models}

    @dg.multi_asset(
        name="dbt_notes",
        specs=[_spec(manifest, model) for model in models],
        check_specs=[_check_spec(manifest["nodes"][unique_id], key) for unique_id, key in tests.items()],
        description="All models and tests of dbt_notes, built from the published file and published with the next one.",
    )
    def dbt_notes(
        context: dg.AssetExecutionContext,
        leases: dg.ResourceParam[Leases],
        marts: dg.ResourceParam[Marts],
        publisher: dg.ResourceParam[PublishProcess],
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        """Build the marts of everything committed, publish them, and tell rows and seconds of each."""
        with leases.alive(context.run.run_id):
            publisher()
            built = marts.build()
            if not built.failed:
                context.log.info(publisher())
        context.log.info(f"{len(built.steps)} models and tests in {built.seconds:.1f} s, page {marts.page}")
        yield from _results(built, assets, tests)

    return dbt_notes


build_marts = dg.define_asset_job(
    "build_marts",
    selection=dg.AssetSelection.groups(*GROUPS),
    description="Build the marts from what is published and publish them. Asked for by the schedule `nightly_marts`.",
)


def _results(
    built: Built, assets: Mapping[str, dg.AssetKey], tests: Mapping[str, dg.AssetCheckKey]
) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    for step in built.steps:
        if step.id in assets and not built.failed:
            yield dg.MaterializeResult(asset_key=assets[step.id], metadata=_metadata(step))
        if step.id in tests and step.outcome != "skipped":
            yield dg.AssetCheckResult(
                passed=step.outcome == "passed",
                asset_key=tests[step.id].asset_key,
                check_name=tests[step.id].name,
                severity=dg.AssetCheckSeverity.WARN if step.outcome == "warned" else dg.AssetCheckSeverity.ERROR,
                metadata={"rows_at_fault": step.failures, "seconds": step.seconds},
            )
    built.demand()


def _metadata(step: Step) -> dict[str, float | int]:
    return {"seconds": step.seconds} | ({} if step.rows is None else {"dagster/row_count": step.rows})


def _spec(manifest: Manifest, model: Mapping[str, Any]) -> dg.AssetSpec:
    nodes = {**manifest["nodes"], **manifest["sources"]}
    columns = [dg.TableColumn(c["name"], description=c["description"]) for c in model["columns"].values()]
    return dg.AssetSpec(
        _key(model),
        deps=list(dict.fromkeys(_key(nodes[unique_id]) for unique_id in model["depends_on"]["nodes"])),
        description=model["description"],
        group_name=model["config"]["meta"]["dagster"]["group"],
        kinds={"dbt", "duckdb"},
        metadata={"dagster/column_schema": dg.TableSchema(columns)},
        skippable=True,
    )


def _key(node: Mapping[str, Any]) -> dg.AssetKey:
    """A source is the asset it names; a model is called by its schema and its name."""
    named = node["config"].get("meta", {}).get("dagster", {}).get("asset_key")
    return dg.AssetKey(named or [node["config"]["schema"], node["name"]])


def _check_key(manifest: Manifest, unique_id: str) -> dg.AssetCheckKey | None:
    """Give the check of a test; None for one of a source, which is no asset of dbt's, and for what is no test."""
    test = manifest["nodes"][unique_id]
    if test["resource_type"] != "test":
        return None
    of = test.get("attached_node") or _named(test)
    model = manifest["nodes"].get(of)
    return dg.AssetCheckKey(_key(model), test["name"]) if model else None


def _named(test: Mapping[str, Any]) -> str:
    """A test in a file of its own asks several models, and says which of them it is about."""
    said = test["config"].get("meta", {}).get("dagster", {}).get("ref", {}).get("name")
    return f"model.{test['package_name']}.{said}"


def _check_spec(test: Mapping[str, Any], key: dg.AssetCheckKey) -> dg.AssetCheckSpec:
    said = test["config"].get("meta", {}).get("description")
    return dg.AssetCheckSpec(
        key.name, asset=key.asset_key, description=said, blocking=test["config"]["severity"].lower() == "error"
    )
