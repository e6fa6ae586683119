"""The job `reprocess`: chosen recordings done again, as proper batches.

The op plans; the sensors `uploads` and `finished_transcripts` ask for the runs. Which recordings are not current is
upkeep/reprocess.py's business.
"""

import dagster as dg
from pydantic import Field

from diary_pipeline.core.batch import Stage
from diary_pipeline.core.errors import UsageError
from diary_pipeline.defs.held import Leases
from diary_pipeline.upkeep.reprocess import STAGES, Reprocess, checked_model


class ReprocessConfig(dg.Config):
    """Which recordings, and how far."""

    keys: list[str] = Field(default=[], description="Recording keys.")
    where: str = Field(
        default="", description="SQL condition over the table recordings, such as whisper_model = 'tiny.en'."
    )
    stages: list[str] = Field(default=list(STAGES), description="transcript, note, or both.")
    whisper_model: str = Field(
        default="", description="Model to transcribe with from now on; empty: the one that each recording has."
    )
    dry_run: bool = Field(default=False, description="Only tell what would be done again.")


@dg.op(description="Tell how many recordings are not current and what doing them again costs, then plan them.")
def do_again(
    context: dg.OpExecutionContext,
    config: ReprocessConfig,
    leases: dg.ResourceParam[Leases],
    reprocess: dg.ResourceParam[Reprocess],
) -> int:
    """Plan what is not current among the chosen recordings, and return how many that are."""
    stages = [_stage(name) for name in config.stages]
    with leases.alive(context.run_id):
        keys = reprocess.keys(config.keys, config.where)
        selection = reprocess.look(keys, stages, checked_model(config.whisper_model, reprocess.allowed_models))
        cost = reprocess.cost(selection)
        figures: dict[str, float | int | str] = {
            "transcripts": len(selection.transcripts),
            "notes_alone": len(selection.notes),
            "current": selection.current,
            "busy": selection.busy,
            "without_audio": selection.without_audio,
            "unknown": len(selection.unknown),
            "audio_hours": round(selection.audio_hours, 3),
            "usd": "unpriced" if cost.usd is None else round(cost.usd, 6),
        }
        context.log.info(", ".join(f"{name} {value}" for name, value in figures.items()))
        planned = 0 if config.dry_run else reprocess.plan(selection)
    context.add_output_metadata({**figures, "planned": planned})
    return planned


def _stage(name: str) -> Stage:
    for stage in STAGES:
        if stage == name:
            return stage
    raise UsageError("stage_unknown", f"There is no stage {name}; use {' or '.join(STAGES)}.")


@dg.job(
    description="Do chosen recordings again, only what is not current. Run config: "
    '{"ops": {"reprocess": {"config": {"where": "language = \'de\'", "stages": ["note"]}}}}.'
)
def reprocess() -> None:
    """One op: see do_again."""
    do_again.alias("reprocess")()
