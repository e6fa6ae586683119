"""What a setting can be, and how one is declared; the settings themselves stand in settings.py."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue

from diary_pipeline.settings_file import server_url
from diary_pipeline.storage.bucket import bucket_of

AbsolutePath = Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())]
Listed = BeforeValidator(lambda said: _listed(said) if isinstance(said, str) else said)
Words = Annotated[tuple[str, ...], Listed]
Waits = Annotated[tuple[Annotated[float, Field(ge=0)], ...], Listed]
"""Seconds between tries."""


def _listed(said: str) -> list[str]:
    return [word.strip() for word in said.split(",") if word.strip()]


def _bucket_url(said: str) -> str:
    bucket_of(said)
    return said


ServerUrl = Annotated[str, AfterValidator(lambda said: server_url(said, "DIARY_TRANSCRIPTION_API_KEY"))]
EmbeddingUrl = Annotated[str, AfterValidator(lambda said: server_url(said, "DIARY_EMBEDDING_API_KEY"))]
BucketUrl = Annotated[str, AfterValidator(_bucket_url)]


def below(name: str) -> Any:
    """Give the default of a path below the home."""
    return lambda data: data["home"] / name


def setting(
    group: str, default: Any, reason: str, *, env: str | None = None, secret: bool = False, **limits: Any
) -> Any:
    """Declare a setting: its group on the page, its default and the sentence that gives the reason."""
    shape = {"default_factory": default} if callable(default) else {"default": default}
    extra: dict[str, JsonValue] = {"group": group, "env": env, "secret": secret}
    return Field(**shape, description=reason, json_schema_extra=extra, **limits)
