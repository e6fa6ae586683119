"""What starts runs by the clock."""

import dagster as dg

from diary_pipeline.defs.marts import build_marts

MARTS_AT = "30 3 * * *"
"""In the deployment's time zone: after midnight, so that the day that ended is whole."""


def nightly_marts(time_zone: str) -> dg.ScheduleDefinition:
    """Ask for the marts once a night."""
    return dg.ScheduleDefinition(
        name="nightly_marts",
        job=build_marts,
        cron_schedule=MARTS_AT,
        execution_timezone=time_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Build and publish the marts once a night; the page `docs/marts.md` says what is in them.",
    )
