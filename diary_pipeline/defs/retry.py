"""The sensor that tries failed recordings again, after pauses, for as often as the deployment says.

It plans and asks for no run: `uploads` and `finished_transcripts` do that for whatever is ready. The rule stands in
ledger/retries.py. The surprise: Dagster's record of failed partitions is never asked, because the ledger knows what
failed, why, and when it is due.
"""

import dagster as dg

from diary_pipeline.defs.notes import write_notes
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.retries import plan_due

INTERVAL_S = 15
"""A quarter of the shortest pause that is usual."""


@dg.sensor(job=write_notes, minimum_interval_seconds=INTERVAL_S, default_status=dg.DefaultSensorStatus.RUNNING)
def failed_partitions(ledger: dg.ResourceParam[Ledger]) -> dg.SkipReason:
    """Plan recordings again whose pause after a failure is over; stopped, it leaves them waiting.

    Asks for no run itself: a run key is good for one run of its own sensor, and a batch that two ask for runs twice.
    """
    planned = plan_due(ledger)
    if not planned:
        return dg.SkipReason("no failed recording is due for another try")
    return dg.SkipReason(f"{planned} failed recordings planned again; the sensors of their stages ask for the runs")
