"""`diary marts`: build the tables by day, week, person and cost, and publish them.

Dagster's job `build_marts` does the same every night; this is for whoever runs without it.
"""

from typing import Annotated

import typer

from diary_pipeline.cli.home import begin, existing_home
from diary_pipeline.cli.output import Format, FormatOption, print_rows, say


def marts(
    from_nothing: Annotated[
        bool, typer.Option("--from-nothing", help="Forget the last ones, instead of rebuilding the days that changed.")
    ] = False,
    form: FormatOption = Format.table,
) -> None:
    """Build the marts with dbt (half a minute) and publish them with everything committed.

    Prints rows and seconds of each. Where a test fails the old marts stay, and the exit code is 1.
    """
    settings = begin()
    existing_home(settings)
    from diary_pipeline.wiring.deployment import Wiring

    wiring = Wiring(settings)
    wiring.publish()
    built = wiring.marts.build(from_nothing=from_nothing)
    built.demand()
    wiring.publish()
    tables = [(step.name, step.rows, round(step.seconds, 2)) for step in built.steps if step.rows is not None]
    print_rows(("mart", "rows", "seconds"), sorted(tables), form)
    say(f"built and tested in {built.seconds:.0f} s; {wiring.marts.page} describes every column")
