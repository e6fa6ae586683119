"""Settings of what comes in: how files are taken, fetched and announced; part of settings.py's one class."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from diary_pipeline.intake.addresses import WEB_PORTS, Guard
from diary_pipeline.settings_kinds import Listed, Words, setting


def _judged(hosts: tuple[str, ...]) -> tuple[str, ...]:
    Guard(hosts)
    return hosts


Hosts = Annotated[Words, AfterValidator(_judged)]
Ports = Annotated[tuple[Annotated[int, Field(ge=1, le=65_535)], ...], Listed]
Waits = Annotated[tuple[Annotated[float, Field(ge=0)], ...], Listed]


class SourceSettings(BaseModel):
    """How recordings get here."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    settle_s: float = setting(
        "Intake", 2.0, "Seconds for which a file must not have changed: one still being written is not taken.", ge=0
    )
    intake_budget_s: float = setting(
        "Intake", 20.0, "Seconds of hashing and probing in one tick; Dagster ends a tick after 60.", gt=0, le=50
    )
    intake_max_files: int = setting("Intake", 500, "Most files taken in by one tick.", ge=1)
    priority_step_minutes: float = setting(
        "Batches",
        60.0,
        "Minutes of waiting that lift a recording's priority by one step, up to high; 24 of them make it urgent.",
        gt=0,
    )
    max_file_size_mb: int = setting("Intake", 500, "Largest audio file, in millions of bytes.", ge=1)
    min_audio_s: float = setting("Intake", 0.3, "Shortest recording; below it there is no word to hear.", gt=0)
    max_audio_s: float = setting("Intake", 86_400.0, "Longest recording: a day.", gt=0)
    upload_kept_hours: float = setting(
        "Intake",
        24.0,
        "Hours after its last part for which an upload in parts is waited for; then its job fails.",
        gt=0,
    )
    fetch_hosts: Hosts = setting(
        "Fetching",
        (),
        "Hosts, host:port pairs and networks (10.1.0.0/16), commas between, that addresses may lead to although they"
        " are not public; none: a stranger's address must not lead into your network.",
    )
    fetch_ports: Ports = setting("Fetching", WEB_PORTS, "Ports that addresses may name: those of the web.")
    fetch_at_once: int = setting(
        "Fetching", 4, "Addresses fetched side by side by one worker; each may need the room of the largest file.", ge=1
    )
    fetch_connect_s: float = setting("Fetching", 10.0, "Seconds in which a server must take the call.", gt=0, le=60)
    fetch_idle_s: float = setting(
        "Fetching", 30.0, "Longest silence of a server in seconds; a lease outlasts it.", gt=0, le=60
    )
    fetch_timeout_s: float = setting(
        "Fetching", 3_600.0, "Seconds after which one try to fetch an address is given up; what came is kept.", gt=0
    )
    fetch_retry_s: Waits = setting(
        "Fetching",
        (60.0, 300.0, 1_800.0),
        "Seconds between tries, commas between; after the last it is refused, so an hour's outage is outlasted.",
    )
