"""The dbt project `dbt_notes`: where it lies, which one it is, and dbt at work on it in a process of its own.

What is built with it is build.py's business. dbt is never imported here: it costs 80 MB and two seconds, which no run
that transcribes should pay.

What surprises: the project lies beside the package, in a checkout and in site-packages alike, and may be read-only;
whatever dbt writes goes into a folder it is given.
"""

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

PROJECT = Path(__file__).parents[3] / "dbt_notes"
PARTS = (".sql", ".yml")


@cache
def fingerprint() -> str:
    """Name the state of the project's files: 16 hex; what was built of another is built anew."""
    known = hashlib.sha256()
    for path in sorted(PROJECT.rglob("*")):
        where = path.relative_to(PROJECT)
        if path.suffix in PARTS and where.parts[0] != "target":
            known.update(f"{where.as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return known.hexdigest()[:16]


def dbt(*commands: str, workplace: Path, files: Mapping[str, str] | None = None) -> int:
    """Run dbt's commands one after another until one fails; return 0 when none did.

    `files` are the variables that profiles.yml reads. Artefacts lie in `workplace/target` afterwards, those of the
    first command also under `first_run_results.json`. What dbt prints is thrown away: an error of a database may quote
    a diary.
    """
    environment = {
        **os.environ,
        "DBT_PROJECT_DIR": str(PROJECT),
        "DBT_PROFILES_DIR": str(PROJECT),
        "DBT_TARGET_PATH": str(workplace / "target"),
        "DBT_LOG_PATH": str(workplace),
        "DBT_LOG_LEVEL_FILE": "none",
        "DBT_ENV_CUSTOM_ENV_PROJECT": fingerprint(),  # also stands in the manifest, as metadata.env.PROJECT
        # Nothing is sent and nobody is asked: no telemetry, no look whether there is a newer dbt.
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DBT_VERSION_CHECK": "false",
        "DO_NOT_TRACK": "1",
        **(files or {}),
    }
    program = [sys.executable, "-m", "diary_pipeline.catalogue.dbt_notes.dbt_process", *commands]
    done = subprocess.run(
        program, env=environment, cwd=workplace, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
    )
    return done.returncode
