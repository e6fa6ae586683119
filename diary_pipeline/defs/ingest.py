"""The job `ingest`: how GraphQL clients hand in recordings."""

import dagster as dg
from pydantic import Field

from diary_pipeline.core.owner import DEFAULT_OWNER
from diary_pipeline.defs.held import Leases
from diary_pipeline.intake.work import Intake

BUDGET_S = 3600.0
"""Seconds one run may hash and copy; what is left over is taken in by the sensor `uploads`."""


class IngestConfig(dg.Config):
    """What to take in."""

    uris: list[str] = Field(
        description="Paths of audio files or folders on the code location's machine, and URLs (file, http, https)."
    )
    user_id: str = Field(default=DEFAULT_OWNER, description="Whose diary it is.")
    whisper_model: str | None = Field(default=None, description="Model to transcribe with; none: DIARY_WHISPER_MODEL.")
    language: str | None = Field(default=None, description="ISO 639-1 code to force; none: detect.")
    vocabulary: list[str] = Field(
        default=[], description="Names and terms said in them, beside the owner's: hints for the model."
    )


@dg.op(description="Submit the files and take them in; the sensor `uploads` plans their runs.")
def take_in(
    context: dg.OpExecutionContext,
    config: IngestConfig,
    leases: dg.ResourceParam[Leases],
    intake: dg.ResourceParam[Intake],
) -> list[str]:
    """Make one submission a file, refuse what cannot be heard, accept the rest; return the submission ids."""
    with leases.alive(context.run_id):
        asked = ("whisper_model", "language", "vocabulary")
        options = {name: getattr(config, name) for name in asked}
        ids = intake.submit(config.uris, config.user_id, "graphql", options)
        report = intake.work(BUDGET_S, len(ids), ids=ids)
    context.log.info(
        f"accepted {report.accepted}, known already {report.duplicates}, refused {report.refused}, "
        f"still waiting {report.waiting + report.left}"
    )
    context.add_output_metadata({"submissions": len(ids), "submission_ids": ids[:100]})
    return ids


@dg.job(description='Take in recordings. Run config: {"ops": {"ingest": {"config": {"uris": ["/path/to/memo.m4a"]}}}}.')
def ingest() -> None:
    """One op: see take_in."""
    take_in.alias("ingest")()  # the name run configs use; an op and a job cannot both be called so
