"""What starts runs by the clock. Times are of the deployment's time zone."""

import dagster as dg

from diary_pipeline.defs.marts import build_marts
from diary_pipeline.defs.retention import retention
from diary_pipeline.defs.upkeep import catalogue_maintenance, compare_and_mend, reconcile

UPKEEP_AT = "10 4 * * *"
RETENTION_AT = "30 2 * * *"
MARTS_AT = "30 3 * * *"
"""After midnight, so that the day that ended is whole, and after what is not kept has gone."""
RECONCILE_AT = "40 * * * *"
WHOLE_LOOK_HOUR = 5
"""After the night's upkeep, which replaces objects."""
RECENT_MONTHS = 2
"""What an hourly look sees: on the first of a month, yesterday too."""


def nightly(time_zone: str) -> list[dg.ScheduleDefinition]:
    """Ask once a night for each of what is done once a night."""
    wanted = (
        ("nightly_retention", retention, RETENTION_AT, "Keep audio and recordings no longer than their owners want."),
        (
            "nightly_marts",
            build_marts,
            MARTS_AT,
            "Build the marts and publish them; docs/marts.md tells of them.",
        ),
        ("nightly_upkeep", catalogue_maintenance, UPKEEP_AT, "Merge small objects, rewrite the file when that pays."),
    )
    return [
        dg.ScheduleDefinition(
            name=name,
            job=job,
            cron_schedule=at,
            execution_timezone=time_zone,
            default_status=dg.DefaultScheduleStatus.RUNNING,
            description=description,
        )
        for name, job, at, description in wanted
    ]


def hourly_reconcile(time_zone: str) -> dg.ScheduleDefinition:
    """Ask for a look at the stores every hour: at the last months, and once a night at everything."""

    @dg.schedule(
        name="hourly_reconcile",
        job=reconcile,
        cron_schedule=RECONCILE_AT,
        execution_timezone=time_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Find and mend what differs between the stores.",
    )
    def look(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        months = 0 if context.scheduled_execution_time.hour == WHOLE_LOOK_HOUR else RECENT_MONTHS
        return dg.RunRequest(run_config={"ops": {compare_and_mend.name: {"config": {"months": months}}}})

    return look
