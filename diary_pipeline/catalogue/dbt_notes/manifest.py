"""What the dbt project consists of, as dbt says it itself: `dbt_notes/target/manifest.json`.

`make setup` and images make it; the command is `python -m diary_pipeline.catalogue.dbt_notes.manifest`. Where it is
missing or of other files, whoever needs it may make it (10 s, once): of several processes that miss it one does, the
others wait.

What surprises: it is read by every process that loads the code location, so it is plain JSON here, never dbt's objects.
"""

import contextlib
import fcntl
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from diary_pipeline.catalogue.dbt_notes.project import PROJECT, dbt, fingerprint
from diary_pipeline.core.errors import ServiceMissing

Manifest = Mapping[str, Any]
TARGET = PROJECT / "target"
COMMAND = "python -m diary_pipeline.catalogue.dbt_notes.manifest"


@cache
def manifest(*, make: bool, target: Path = TARGET) -> Manifest:
    """Read the manifest of the project as it is now; without one make it, or raise where that is not to be done."""
    found = _read(target)
    if found is None and make:
        with _alone(target):
            found = _read(target) or _make(target)
    if found is None:
        raise ServiceMissing(
            "marts_manifest_missing",
            f"{target / 'manifest.json'} is missing or of another version of dbt_notes, and DIARY_MAKE_MANIFEST=false: "
            f"run `{COMMAND}` while the image is built.",
        )
    return found


def _read(target: Path) -> Manifest | None:
    try:
        found = json.loads((target / "manifest.json").read_bytes())
    except (OSError, ValueError):
        return None
    current = found.get("metadata", {}).get("env", {}).get("PROJECT") == fingerprint()
    return found if current else None


def _make(target: Path) -> Manifest | None:
    with tempfile.TemporaryDirectory(dir=target) as workplace:
        if dbt("parse", workplace=Path(workplace)) != 0:
            raise ServiceMissing(
                "marts_manifest_failed",
                f"dbt cannot read {PROJECT}: run `dbt parse --project-dir {PROJECT} --profiles-dir {PROJECT}`, "
                "which says why.",
            )
        made = Path(workplace) / "target" / "manifest.json"
        made.chmod(0o644)  # whoever runs the image reads it, whoever built it
        made.replace(target / "manifest.json")
    return _read(target)


@contextlib.contextmanager
def _alone(target: Path) -> Iterator[None]:
    try:
        target.mkdir(exist_ok=True)
        lock = os.open(target / ".lock", os.O_CREAT | os.O_RDWR, 0o644)
    except OSError as error:
        raise ServiceMissing(
            "marts_manifest_missing",
            f"{target / 'manifest.json'} is missing and cannot be made ({error.strerror}): run `{COMMAND}` as somebody "
            "who may write there.",
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


if __name__ == "__main__":
    manifest(make=True)
