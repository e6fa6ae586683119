"""Settings of what comes in: how files are taken, fetched and announced; part of settings.py's one class."""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from diary_pipeline.core.errors import UsageError
from diary_pipeline.intake.addresses import WEB_PORTS, Guard
from diary_pipeline.intake.buckets import WatchedBucket, within_store
from diary_pipeline.intake.sources import WatchedFolder
from diary_pipeline.settings_file import People
from diary_pipeline.settings_kinds import Listed, Waits, Words, setting


def _judged(hosts: tuple[str, ...]) -> tuple[str, ...]:
    Guard(hosts)
    return hosts


Hosts = Annotated[Words, AfterValidator(_judged)]
Ports = Annotated[tuple[Annotated[int, Field(ge=1, le=65_535)], ...], Listed]


def _redis_url(said: str) -> str:
    parts = urlsplit(said)
    if parts.scheme not in ("redis", "rediss", "unix") or not (parts.hostname or parts.path.strip("/")):
        raise ValueError("it must begin with redis://, rediss:// or unix:// and name a server")
    return said


RedisUrl = Annotated[str, AfterValidator(_redis_url)]
PROJECT = r"[a-z][a-z0-9-]{2,61}[a-z0-9]"
RESOURCE = r"[A-Za-z][A-Za-z0-9._~+%-]{2,254}"


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
    max_file_size_mb: int = setting("Intake", 500, "Largest audio file, in millions of bytes.", ge=1)
    min_audio_s: float = setting("Intake", 0.3, "Shortest recording; below it there is no word to hear.", gt=0)
    max_audio_s: float = setting("Intake", 86_400.0, "Longest recording: a day.", gt=0)
    upload_kept_hours: float = setting(
        "Intake",
        24.0,
        "Hours after its last part for which an upload in parts is waited for; then its job fails.",
        gt=0,
    )
    refused_upload_days: float = setting(
        "Intake",
        7.0,
        "Days for which an upload that was refused can be tried again: its bytes may be nowhere else. Then they go.",
        ge=1,
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
        "Seconds between tries to fetch one address; after the last it is refused, so 36 minutes' outage is outlasted.",
    )

    upload_queue: Literal["none", "redis", "pubsub"] = setting(
        "Queues",
        "none",
        "What announces uploads beside folders and buckets, which are looked through anyway (docs/queues.md).",
    )
    queue_budget_s: float = setting(
        "Queues",
        5.0,
        "Seconds for announcements, and as many for buckets, in one tick; Dagster ends a tick after 60.",
        gt=0,
        le=15,
    )
    queue_max_messages: int = setting("Queues", 2000, "Most announcements taken in by one tick.", ge=1)
    queue_again_s: float = setting(
        "Queues",
        60.0,
        "Seconds after which an announcement that a worker was handed and did not acknowledge goes to another.",
        ge=1,
        le=600,
    )
    redis_url: RedisUrl | None = setting(
        "Queues",
        None,
        "Redis of the queue, and of rate limits that replicas of the API share, as redis://HOST:6379/0.",
        secret=True,
    )
    redis_stream: str = setting(
        "Queues", "diary:uploads", "Stream of announcements; dead letters lie in <stream>:dead.", min_length=1
    )
    redis_group: str = setting("Queues", "diary", "Consumer group in which all workers share the stream.", min_length=1)
    pubsub_project: str | None = setting(
        "Queues", None, "Google Cloud project of subscription and topic.", pattern=PROJECT
    )
    pubsub_subscription: str | None = setting(
        "Queues", None, "Subscription that announcements are pulled from.", pattern=RESOURCE
    )
    pubsub_dead_letter_topic: str | None = setting(
        "Queues",
        None,
        "Topic for messages that cannot be understood; needed, because none may be lost in silence.",
        pattern=RESOURCE,
    )
    bucket_rest_s: float = setting(
        "Queues",
        60.0,
        "Seconds from the end of one way through a watched bucket to the next; each 1,000 objects are a paid request.",
        ge=0,
    )
    bucket_pages: int = setting(
        "Queues", 2, "Pages of 1,000 objects that one tick lists, all watched buckets together.", ge=1, le=100
    )

    @property
    def queue_needs(self) -> str:
        """Name the first variable that the chosen queue needs and nobody set; empty: none."""
        needed = {
            "none": (),
            "redis": ("redis_url",),
            "pubsub": ("pubsub_project", "pubsub_subscription", "pubsub_dead_letter_topic"),
        }
        return next((f"DIARY_{name.upper()}" for name in needed[self.upload_queue] if not getattr(self, name)), "")


def demand_usable(people: People, file: Path, allowed_models: Collection[str], store: str | None) -> None:
    """Refuse folders and buckets of the file that could not be taken in; `store` is our own bucket's address."""
    sources: list[WatchedFolder | WatchedBucket] = [*people.folders, *people.buckets]
    for source in sources:
        if source.whisper_model and source.whisper_model not in allowed_models:
            raise UsageError(
                "config_invalid", f"{file}: the whisper_model {source.whisper_model} is not in DIARY_ALLOWED_MODELS."
            )
    if inside := within_store(people.buckets, store):
        raise UsageError("config_invalid", f"{file}: {inside} lies in DIARY_BUCKET, where our own objects lie.")
