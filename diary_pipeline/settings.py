"""Every setting of a deployment: type, unit, default and reason; the only reader of the environment.

What concerns batches stands in settings_batches.py, the ways in in settings_sources.py and settings_api.py. People and
folders stand in the one file (settings_file.py), language models too (settings_llm.py). Domain rooms never read
settings: they are handed values. `load_settings` reads nothing but the mapping it is given, and pydantic-settings' own
readers are not used, because they look at the process environment by themselves and skip a misspelt `DIARY_BEEM_SIZE`
in silence.
"""

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationError

from diary_pipeline.core.errors import UsageError
from diary_pipeline.core.owner import DEFAULT_OWNER, Owner, audio_days
from diary_pipeline.intake.buckets import WatchedBucket
from diary_pipeline.intake.sources import WatchedFolder
from diary_pipeline.notes.renderers.template import Template
from diary_pipeline.settings_api import ApiSettings
from diary_pipeline.settings_batches import BatchSettings
from diary_pipeline.settings_file import KeepAudio, TimeZone, UserId, first_fault, read_people
from diary_pipeline.settings_kinds import (
    AbsolutePath,
    BucketUrl,
    EmbeddingUrl,
    Listed,
    ServerUrl,
    Words,
    below,
    setting,
)
from diary_pipeline.settings_llm import Llm, read_llm
from diary_pipeline.settings_machine import of_machine
from diary_pipeline.settings_sources import SourceSettings, demand_usable
from diary_pipeline.transcription.renderers.formats import TranscriptFormat
from diary_pipeline.transcription.repair.rungs import LADDER, Rung
from diary_pipeline.transcription.weights.hub import HUB_MODELS

PREFIX = "DIARY_"
OTHERS = frozenset({"DIARY_REQUIRE_SERVERS"})
"""Variables with our prefix that are not ours to read: the first turns skipped tests into failed ones."""


class Settings(ApiSettings, SourceSettings, BatchSettings):
    """A deployment. Frozen: a process has one, made once at its edge."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    home: AbsolutePath = setting("Places", Path(".diary"), "Folder of everything that the embedded default writes.")
    ledger_url: str = setting(
        "Places",
        lambda data: f"sqlite:///{data['home'] / 'ledger.sqlite'}",
        "SQLAlchemy URL of the ledger; SQLite wants a local disk, several machines want PostgreSQL.",
        secret=True,
    )
    object_dir: AbsolutePath = setting(
        "Places", below("objects"), "Folder of audio and committed Parquet objects; may lie on NFS."
    )
    bucket: BucketUrl | None = setting(
        "Places",
        None,
        "In place of that folder: a bucket of Google Cloud Storage, as gs://BUCKET or gs://BUCKET/PREFIX.",
    )
    bucket_copies_mb: int = setting(
        "Places",
        2000,
        "Millions of bytes that local copies of a bucket's objects may fill below DIARY_HOME; some 60 hours of memos.",
        ge=1,
    )
    catalogue_file: AbsolutePath = setting(
        "Places", below("catalogue.duckdb"), "DuckDB file that users query; replaced by rename, wants a local disk."
    )
    search_file: AbsolutePath = setting(
        "Places", below("search.sqlite"), "SQLite file of words that `diary search` asks; wants a local disk."
    )
    marts_file: AbsolutePath = setting(
        "Places", below("marts.duckdb"), "DuckDB file that dbt builds and the publisher copies; wants a local disk."
    )
    make_manifest: bool = setting(
        "Places",
        True,
        "Whether dbt's manifest is made where it is missing (10 s, once); images bring one, and fail without.",
    )
    drop_dir: AbsolutePath = setting(
        "Places", below("drop"), "Folder that is always watched, for the default owner; files stay where they are."
    )
    note_dir: AbsolutePath = setting("Places", below("notes"), "Folder of rendered notes: <day>/<recording key>.md.")
    write_note_files: bool = setting("Places", True, "Whether notes are also written as Markdown files.")
    transcript_dir: AbsolutePath = setting(
        "Places", below("transcripts"), "Folder of transcripts as files: <day>/<recording key>.<format>."
    )
    transcript_files: Annotated[tuple[TranscriptFormat, ...], Listed] = setting(
        "Places",
        (),
        "Formats in which transcripts are also kept as files, separated by commas: txt, json, srt, vtt, md. Those of "
        "another format go when a recording is transcribed again.",
    )
    model_dir: AbsolutePath = setting(
        "Places",
        Path("~/.cache/diary_pipeline/models"),
        "Folder of the weights of models; outside the home folder, because projects share it.",
    )
    dagster_home: AbsolutePath = setting(
        "Places", below("dagster"), "Folder of Dagster's own state and dagster.yaml.", env="DAGSTER_HOME"
    )
    dagster_url: str = setting(
        "Places",
        lambda data: data["ledger_url"] if data["ledger_url"].startswith("postgres") else "",
        "PostgreSQL URL of Dagster's storage, in a schema of its own; empty: SQLite below DAGSTER_HOME.",
        secret=True,
    )
    config_file: AbsolutePath | None = setting(
        "Places", None, "TOML file that names owners and watched folders.", env="DIARY_CONFIG"
    )

    whisper_model: str = setting(
        "Transcription", "base", "Model for recordings that ask for none; the smallest that is not tiring to read."
    )
    allowed_models: Words = setting(
        "Transcription",
        tuple(HUB_MODELS),
        "Models that a recording may ask for, separated by commas; others are refused.",
    )
    transcriber: Literal["faster-whisper", "openai"] = setting(
        "Transcription",
        "faster-whisper",
        "What hears: Whisper weights on this machine, or any server with OpenAI's transcription API.",
    )
    transcription_url: ServerUrl | None = setting(
        "Transcription",
        None,
        "Address of that server, usually ending in /v1; the speech of every recording is sent there.",
    )
    transcription_api_key: str | None = setting("Transcription", None, "Its key, where it wants one.", secret=True)
    transcription_concurrency: int = setting(
        "Transcription", 4, "Windows of up to 30 s that it is asked about at once.", ge=1, le=64
    )
    device: Literal["auto", "cpu", "cuda"] = setting(
        "Transcription",
        "auto",
        "Where the model runs; auto takes a GPU that answers and could hold it (docs/devices.md).",
    )
    compute_type: Literal["auto", "int8", "int8_float16", "int8_float32", "float16", "bfloat16", "float32"] = setting(
        "Transcription",
        "auto",
        "Precision of the weights; auto takes float16 on CUDA, float32 where a GPU has none, int8 on a CPU.",
    )
    cpu_threads: int = setting("Transcription", 0, "CPU threads of one model; 0 takes all cores.", ge=0, le=512)
    beam_size: int = setting("Transcription", 5, "Beams per window; 1 is faster and makes more mistakes.", ge=1, le=20)
    window_batch_size: int = setting(
        "Transcription",
        0,
        "Windows that one model call decodes; 0 chooses from free memory, at most 8 on a CPU and 64 on a GPU.",
        ge=0,
        le=64,
    )
    repair_ladder: Annotated[tuple[Rung, ...], Listed] = setting(
        "Transcription",
        LADDER,
        "How a suspicious passage is heard again, each way when those before it failed; their order here says nothing. "
        "Empty: it is refused unheard.",
    )
    repair_model: str = setting(
        "Transcription", "", "Model of another size that may hear a suspicious passage again; empty: none."
    )

    default_owner: UserId = setting("People", DEFAULT_OWNER, "Whose diary it is when nobody says.")
    time_zone: TimeZone = setting("People", "UTC", "Zone of owners who name none; decides the day of a recording.")

    keep_audio: KeepAudio = setting(
        "People",
        "forever",
        "How long our copy of the audio is kept once its note is there: forever, note (until then), or days.",
    )
    keep_days: float | None = setting(
        "People", None, "Days after which a recording is erased with all that was made of it; empty: never.", gt=0
    )
    erasure_key: str | None = setting(
        "People",
        None,
        "Secret of tombstones and receipts; without it the file erasure.key below the home, which one machine has.",
        secret=True,
        min_length=16,
    )

    embedder: Literal["none", "minilm", "openai-compatible"] = setting(
        "Search",
        "none",
        "What `diary search --meaning` compares with: a small English model here (`diary models get minilm`), or a "
        "server with OpenAI's embeddings API.",
    )
    embedding_url: EmbeddingUrl | None = setting(
        "Search", None, "Address of that server, usually ending in /v1; notes and speech are sent there."
    )
    embedding_model: str = setting("Search", "", "The embedding model's name there.")
    embedding_api_key: str | None = setting("Search", None, "Its key, where it wants one.", secret=True)
    embedding_local: bool = setting(
        "Search", False, "Whether that server is the deployment's own, so that it may see `local_only` diaries."
    )

    log_level: Literal["debug", "info", "warning", "error"] = setting(
        "Surface", "info", "Least severe log line; debug also shows tracebacks of the command line."
    )
    log_format: Literal["text", "json"] = setting("Surface", "text", "Log lines for people or for machines.")
    previews: bool = setting(
        "Surface",
        True,
        "Whether notes and transcripts also go into Dagster's metadata, where its UI shows them and its database keeps "
        "them (docs/decisions/0001).",
    )
    ui_host: str = setting("Surface", "127.0.0.1", "Address that `make dev` serves Dagster on; it has no passwords.")
    ui_hosts: Words = setting(
        "Surface",
        (),
        "Further host names under which Dagster may be asked, those of a proxy too; loopback's names and addresses in "
        "figures need none. Any other is refused, so that no web page reaches it under its own name (DNS rebinding).",
    )
    ui_port: int = setting("Surface", 3000, "Port that `make dev` serves Dagster on.", ge=1, le=65_535)

    owners: Mapping[str, Owner] = Field(default_factory=dict)
    folders: tuple[WatchedFolder, ...] = ()
    """Folders to watch, the drop folder first."""
    buckets: tuple[WatchedBucket, ...] = ()
    llm: Llm = Field(default_factory=Llm)
    templates: Mapping[str, Template] = Field(default_factory=dict)
    origins: Mapping[str, str] = Field(default_factory=dict, repr=False)

    @property
    def scratch_dir(self) -> Path:
        """Folder of bytes on their way in, private to this machine; intake sweeps it."""
        return self.home / "scratch"

    def owner(self, user_id: str | None = None) -> Owner:
        """Give what is known about a person; somebody the file does not name has the defaults."""
        name = user_id or self.default_owner
        return self.owners.get(name) or self.usual_owner(name)

    def usual_owner(self, user_id: str) -> Owner:
        """Give what holds for a person of whom the file says nothing."""
        return Owner(
            user_id=user_id,
            time_zone=self.time_zone,
            keep_audio_days=audio_days(self.keep_audio),
            keep_days=self.keep_days,
        )

    def environment(self) -> dict[str, str]:
        """Give the variables that make a child process load these very settings, wherever it runs."""
        said = {variable: text for variable, name in SETTINGS.items() if (text := as_text(getattr(self, name)))}
        return {**self.llm.keys, **said}


def as_text(value: object) -> str:
    """Write a value as its variable would say it; empty: not said."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


SETTINGS: Mapping[str, str] = {
    str(field.json_schema_extra.get("env") or f"{PREFIX}{name.upper()}"): name
    for name, field in sorted(Settings.model_fields.items(), key=lambda item: item[0] not in Settings.__annotations__)
    if isinstance(field.json_schema_extra, dict)
}
"""Name of the variable -> name of the field; those of this file first."""


def load_settings(env: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from a mapping and the file it names; by default the process environment over `.env`."""
    env = _process_environment() if env is None else env
    said = {SETTINGS[name]: value for name, value in env.items() if name in SETTINGS and _is_ours(name, value)}
    for name, value in env.items():
        if name.startswith(PREFIX) and name not in SETTINGS and name not in OTHERS and _is_ours(name, value):
            raise UsageError(
                "config_invalid", f"{name} is not a setting{_nearest(name)}; `diary doctor` lists them all."
            )
    machine = of_machine(env)
    origins = dict.fromkeys(machine, "machine") | dict.fromkeys(said, "environment")
    known: dict[str, Any] = {**machine, **said, "origins": origins}
    try:
        settings = Settings(**known)
    except ValidationError as error:
        field = str(error.errors(include_url=False, include_input=False)[0]["loc"][0])
        variable = next(variable for variable, name in SETTINGS.items() if name == field)
        fault = first_fault(error).partition(": ")[2]
        raise UsageError("config_invalid", f"{variable} cannot be used: {fault}.") from error
    for name in ("embedding_url", "embedding_model"):
        if settings.embedder == "openai-compatible" and not getattr(settings, name):
            raise UsageError("config_invalid", f"DIARY_EMBEDDER=openai-compatible needs DIARY_{name.upper()}.")
    if settings.queue_needs:
        raise UsageError("config_invalid", f"DIARY_UPLOAD_QUEUE={settings.upload_queue} needs {settings.queue_needs}.")
    if settings.transcript_dir == settings.note_dir:
        raise UsageError(
            "config_invalid",
            "DIARY_TRANSCRIPT_DIR and DIARY_NOTE_DIR are one folder, where a transcript would replace the note of the "
            "same recording; name another.",
        )
    return _with_file(_with_own_model(settings), env)


def _process_environment() -> Mapping[str, str]:
    file = Path(".env")
    if not file.is_file():
        return os.environ
    # Dagster's own commands read `.env` of the working directory too: both must see the same deployment.
    from dotenv import dotenv_values

    return {**{name: value for name, value in dotenv_values(file).items() if value is not None}, **os.environ}


def _with_own_model(settings: Settings) -> Settings:
    model = settings.whisper_model
    if settings.transcriber == "openai":
        return _with_served_models(settings)
    other = settings.repair_model
    if other and "/" not in other and other not in (*HUB_MODELS, *settings.allowed_models):
        raise UsageError(
            "config_invalid",
            f"DIARY_REPAIR_MODEL {other} is no model; use one of {', '.join(HUB_MODELS)}, a folder or a hub id.",
        )
    if model in settings.allowed_models:
        return settings
    if "/" not in model:  # a folder or a hub id is somebody's own model; a plain word is a misspelt one
        raise UsageError(
            "config_invalid", f"DIARY_WHISPER_MODEL {model} is not among DIARY_ALLOWED_MODELS; add it there."
        )
    return settings.model_copy(update={"allowed_models": (*settings.allowed_models, model)})


def _with_served_models(settings: Settings) -> Settings:
    # Our names of weights mean nothing to a server: only what somebody named is offered.
    for name, what in {"transcription_url": "the server's address", "whisper_model": "a model's name there"}.items():
        if name not in settings.origins:
            raise UsageError("config_invalid", f"DIARY_TRANSCRIBER=openai needs DIARY_{name.upper()}: {what}.")
    named = settings.allowed_models if "allowed_models" in settings.origins else ()
    return settings.model_copy(update={"allowed_models": tuple(dict.fromkeys((*named, settings.whisper_model)))})


def _with_file(settings: Settings, env: Mapping[str, str]) -> Settings:
    drop = WatchedFolder(settings.drop_dir, settings.default_owner)
    if settings.config_file is None:
        return settings.model_copy(update={"folders": (drop,)})
    people = read_people(settings.config_file, settings.usual_owner(settings.default_owner))
    demand_usable(people, settings.config_file, settings.allowed_models, settings.bucket)
    llm = read_llm(people.llm, settings.config_file, env)
    return settings.model_copy(
        update={
            "owners": people.owners,
            "folders": (drop, *people.folders),
            "buckets": people.buckets,
            "llm": llm,
            "templates": people.templates,
        }
    )


def _is_ours(name: str, value: str) -> bool:
    # Kubernetes tells every pod about a Service `diary-ui` as DIARY_UI_PORT=tcp://..., DIARY_UI_SERVICE_HOST=...;
    # an empty value is what `NAME=` in an env file leaves: not said.
    service = re.search(r"_SERVICE_(HOST|PORT)|_PORT_\d+_(TCP|UDP)", name) or value.startswith(("tcp://", "udp://"))
    return bool(value.strip()) and not service


def _nearest(name: str) -> str:
    near = difflib.get_close_matches(name, SETTINGS, n=1)
    return f", did you mean {near[0]}" if near else ""
