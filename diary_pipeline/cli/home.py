"""What a command does first: settings, logs, and the folders below DIARY_HOME that the embedded default writes to.

No rule of the domain lives here. What surprises: reading commands never create a home, so that a `diary status` in the
wrong folder says so instead of leaving an empty `.diary` behind.
"""

import errno
import os
from importlib import resources
from pathlib import Path

from diary_pipeline.core.errors import NotFound, ServiceMissing
from diary_pipeline.intake.sources import HOME_MARKER
from diary_pipeline.observability.logs import configure_logging
from diary_pipeline.settings import Settings, load_settings

PRIVATE = 0o700
WORKSPACE = """\
load_from:
  - python_module:
      module_name: diary_pipeline.definitions
      location_name: diary_pipeline
"""
PATIENCE = {"DAGSTER_GRPC_TIMEOUT_SECONDS": "180"}
"""How long the daemon waits for a run's process to start; as long as `start_timeout_seconds` of dagster.yaml.

Stock gives up after 60 s and queues the run again. Its process, when it does come on a busy machine, finds the run
queued and leaves, and Dagster fails the run.
"""


def begin() -> Settings:
    """Read the settings and set up logs; commands say themselves what went wrong, unless DIARY_LOG_LEVEL is said."""
    settings = load_settings()
    level = settings.log_level if "log_level" in settings.origins else "error"
    configure_logging(level, settings.log_format == "json")
    return settings


def prepare_home(settings: Settings) -> None:
    """Create what the embedded default needs below its home; what is there is left as it is."""
    objects = () if settings.bucket else (settings.object_dir,)
    for folder in (settings.home, *objects, settings.drop_dir, settings.dagster_home):
        try:
            folder.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            raise ServiceMissing(
                "home_not_writable",
                f"{folder} cannot be written by user id {os.getuid()} ({error.strerror}): "
                "change its owner, or set DIARY_HOME.",
            ) from error
    kind = "postgres" if settings.dagster_url else "sqlite"
    template = resources.files("diary_pipeline").joinpath(f"instance/dagster.{kind}.yaml")
    for file, text in (
        (settings.home / HOME_MARKER, "Nothing below this folder is a recording to take in.\n"),
        (settings.dagster_home / "dagster.yaml", template.read_text(encoding="utf-8")),
        (settings.dagster_home / "workspace.yaml", WORKSPACE),
    ):
        if not file.exists():  # what a user changed stays
            file.write_text(text, encoding="utf-8")


def dagster_environment(settings: Settings) -> dict[str, str]:
    """Give the whole environment of Dagster's webserver, daemon and code server; what the operator said stays."""
    return {**PATIENCE, **os.environ, **settings.environment()}


def existing_home(settings: Settings) -> None:
    """Refuse to go on where no diary has been kept yet."""
    if not has_ledger(settings):
        raise NotFound(
            "home_missing",
            f"There is no diary at {settings.home} yet: begin with `diary ingest FOLDER`, or name another DIARY_HOME.",
        )


def has_ledger(settings: Settings) -> bool:
    """Say whether there is a ledger to open without making one; a database server's is taken to be there."""
    file = settings.ledger_url.removeprefix("sqlite:///")
    return file == settings.ledger_url or Path(file).exists()
