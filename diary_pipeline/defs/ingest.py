"""The job `ingest`: how GraphQL clients hand in recordings."""

import dagster as dg
from pydantic import Field

from diary_pipeline.defs.resources import Leases
from diary_pipeline.intake.work import Intake
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.leases import Heartbeat

BUDGET_S = 3600.0
"""Seconds one run may hash and copy; what is left over is taken in by the sensor `uploads`."""


class IngestConfig(dg.Config):
    """What to take in."""

    uris: list[str] = Field(
        description="Paths or file:// URLs of audio files or folders on the code location's machine."
    )
    user_id: str = Field(default="", description="Whose diary it is; empty: DIARY_DEFAULT_OWNER.")
    whisper_model: str = Field(default="", description="Model to transcribe with; empty: DIARY_WHISPER_MODEL.")
    language: str = Field(default="", description="ISO 639-1 code to force; empty: detect.")


@dg.op(name="ingest", description="Submit the files and take them in; the sensor `uploads` plans their runs.")
def take_in(
    context: dg.OpExecutionContext,
    config: IngestConfig,
    ledger: dg.ResourceParam[Ledger],
    leases: dg.ResourceParam[Leases],
    intake: dg.ResourceParam[Intake],
) -> list[str]:
    """Make one submission a file, refuse what cannot be heard, accept the rest; return the submission ids."""
    with Heartbeat(ledger, context.run_id, leases.lease_s):
        ids = intake.submit(
            config.uris,
            config.user_id or None,
            "graphql",
            model=config.whisper_model or None,
            language=config.language or None,
        )
        report = intake.work(BUDGET_S, len(ids))
    context.log.info(
        f"accepted {report.accepted}, duplicates {report.duplicates}, refused {report.refused}, left {report.left}"
    )
    context.add_output_metadata({"submissions": len(ids), "submission_ids": ids[:100]})
    return ids


@dg.job(description='Take in recordings. Run config: {"ops": {"ingest": {"config": {"uris": ["/path/to/memo.m4a"]}}}}.')
def ingest() -> None:
    """One op: see take_in."""
    take_in()
