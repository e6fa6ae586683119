"""The code location: every asset, check, job, sensor and resource, assembled by hand.

Not autoloaded: one broken file in defs/ must not take the location down unseen, and images carry no pyproject.toml.
Loads with no extras installed and without reaching any service.
"""

import warnings
from collections.abc import Mapping

import dagster as dg

from diary_pipeline.observability.logs import configure_logging
from diary_pipeline.settings import Settings, load_settings
from diary_pipeline.wiring.deployment import Wiring

# Pools and partitioned checks are beta and preview in Dagster 1.13, which says so wherever it copies a definition.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)

from diary_pipeline.catalogue.dbt_notes.manifest import manifest
from diary_pipeline.defs.erase import erase, erasures, marts_after_erasure
from diary_pipeline.defs.events import failed_recordings
from diary_pipeline.defs.ingest import ingest
from diary_pipeline.defs.marts import build_marts, marts_assets
from diary_pipeline.defs.notes import note, write_notes
from diary_pipeline.defs.publish import publish as publish_job
from diary_pipeline.defs.reprocess import reprocess
from diary_pipeline.defs.resources import resources
from diary_pipeline.defs.retention import retention
from diary_pipeline.defs.retry import failed_partitions
from diary_pipeline.defs.run_failures import run_failures
from diary_pipeline.defs.schedules import hourly_reconcile, nightly
from diary_pipeline.defs.sensors import finished_transcripts, publish, stale_notes, uploads
from diary_pipeline.defs.speech import speech, transcribe_recordings
from diary_pipeline.defs.upkeep import catalogue_maintenance, catalogue_upkeep, reconcile
from diary_pipeline.defs.wipe.partitions import DagsterPartitions
from diary_pipeline.upkeep.partitions import Partitions


def build_defs(settings: Settings, overrides: Mapping[str, object] | None = None) -> dg.Definitions:
    """Assemble the location for one deployment; `overrides` replaces resources by name (tests, doubles)."""
    return dg.Definitions(
        assets=[speech, note, marts_assets(manifest(make=settings.make_manifest)), catalogue_upkeep],
        jobs=[
            transcribe_recordings,
            write_notes,
            publish_job,
            ingest,
            reprocess,
            failed_recordings,
            build_marts,
            catalogue_maintenance,
            reconcile,
            retention,
            erase,
        ],
        sensors=[
            uploads,
            finished_transcripts,
            failed_partitions,
            run_failures,
            stale_notes,
            publish,
            erasures,
            marts_after_erasure,
        ],
        schedules=[*nightly(settings.time_zone), hourly_reconcile(settings.time_zone)],
        resources={**resources(Wiring(settings)), **(overrides or {})},
        executor=dg.in_process_executor,  # also for UI runs and backfills: 1 s a run, not 15
    )


def partitions(instance: dg.DagsterInstance) -> Partitions:
    """Give upkeep what it may do to recordings as partitions of this instance."""
    return DagsterPartitions(instance)


_settings = load_settings()
# Run processes and the code server load this module, and nothing else sets up their logs.
configure_logging(_settings.log_level, _settings.log_format == "json", unless_done=True)
defs = build_defs(_settings)
