"""The process that dbt runs in: `python -m diary_pipeline.catalogue.dbt_notes.dbt_process "build" "docs generate"`.

Started by project.py, which says by environment variables where everything lies. Nobody imports this: loading dbt takes
seconds, so one process does all that is asked for.
"""

import os
import shlex
import shutil
import sys
from pathlib import Path


def main(commands: list[str]) -> int:
    """Run each command, and keep the results of the first, which the next would write over."""
    from dbt.cli.main import dbtRunner

    runner = dbtRunner()
    for number, command in enumerate(commands):
        succeeded = runner.invoke(shlex.split(command)).success
        results = Path(os.environ["DBT_TARGET_PATH"]) / "run_results.json"
        if number == 0 and results.exists():
            shutil.copyfile(results, results.with_name("first_run_results.json"))
        if not succeeded:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
