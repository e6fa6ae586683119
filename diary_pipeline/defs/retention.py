"""The job `retention`: what was kept for as long as its owner wants goes.

Which that is, and removing it, are upkeep/retain.py's business; the bytes of whole recordings go with the job `erase`.
"""

import dagster as dg

from diary_pipeline.defs.held import Leases
from diary_pipeline.upkeep.retain import Retention


@dg.op(description="Remove audio by keep_audio, and begin to erase recordings by keep_days.")
def apply_rules(
    context: dg.OpExecutionContext, leases: dg.ResourceParam[Leases], retention: dg.ResourceParam[Retention]
) -> None:
    """Apply the rules once; the figures stand in the metadata of the output."""
    with leases.alive(context.run_id):
        done = retention()
    context.add_output_metadata({"audio": done.audio, "audio_bytes": done.audio_bytes, "erased": done.erased})


@dg.job(description="Keep audio (keep_audio) and recordings (keep_days) no longer than their owners want.")
def retention() -> None:
    """One op: see apply_rules."""
    apply_rules()
