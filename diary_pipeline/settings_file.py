"""The one configuration file (`DIARY_CONFIG`, TOML): whose diaries these are, and where recordings are looked for.

    [owners.anna]
    languages = ["de", "en"]            # ISO 639-1; detection chooses among them
    time_zone = "Europe/Berlin"         # decides the day of a recording that carries no offset
    vocabulary = ["Zillertal", "Mika"]  # names and terms, hints for the model
    note_language = "de"                # of notes, whatever was spoken; leave out: the language of most of the speech
    template = "short"                  # of notes, by name
    tag_templates = {dream = "dreams"}  # of recordings with a tag
    local_only = true                   # only routes marked `local` may see this diary
    day_budget_usd = 0.5                # for language models, by UTC
    keep_audio = 30                     # days after its note; or "note": until then; or "forever"
    keep_days = 3650                    # then everything of a recording is erased; leave out: never

    [owners.anna.replacements]          # heard = meant: whole words, exactly as spelled; the raw text is kept
    "confu i" = "ComfyUI"

    [templates.short]                   # a form of notes; all of it may be left out
    sections = [{heading = "What happened", shows = ["event"]}, {shows = ["action"]}]

    [templates.dreams]
    tone = "Present tense, no interpretation."
    sections = [{heading = "The dream", shows = ["event"]}, {shows = ["reflection", "mood"]}]

    [[folders]]
    path = "~/Recordings"               # relative paths start at this file
    owner = "anna"
    language = "de"                     # forced; leave out to detect
    whisper_model = "small"
    tags = ["phone"]
    template = "dreams"                 # of its notes; the recordings get a tag of that name
    vocabulary = ["Brenner"]            # beside the owner's
    ignore = ["*.tmp", "drafts/*"]
    not_older_than_days = 365

    [[buckets]]
    url = "gs://voice-memos/anna/"      # what the names of its objects begin with
    owner = "anna"                      # and whatever else a folder takes

Settings of the deployment are `DIARY_*` variables and belong to settings.py, the table `llm` to settings_llm.py. An
unknown key is an error: a misspelt `langauges` would else be a wrong language that nobody notices.
"""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from diary_pipeline.core.errors import UsageError
from diary_pipeline.core.owner import Owner, audio_days, owner_name
from diary_pipeline.intake.buckets import WatchedBucket, place_in_bucket
from diary_pipeline.intake.options import clean_language, clean_tags, clean_vocabulary
from diary_pipeline.intake.sources import WatchedFolder
from diary_pipeline.notes.renderers.template import DEFAULT, Template, template_from

_T = TypeVar("_T")
_U = TypeVar("_U")


def known_zone(name: str) -> str:
    """Give the name back when it is an IANA time zone."""
    try:
        ZoneInfo(name)
    # zoneinfo raises OSError for names that are folders of its database, ValueError for paths
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"'{name}' is no IANA time zone such as Europe/Berlin") from error
    return name


def server_url(said: str, key_place: str) -> str:
    """Give the address of a server without its last slash; `key_place` says where a key belongs that does not go in."""
    parts = urlsplit(said)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ValueError("it must begin with http:// or https:// and hold no password")
    if "?" in said or "#" in said:  # addresses are shown, and kept with what came from there
        raise ValueError(f"it must hold no query and no fragment; a key belongs into {key_place}")
    return said.rstrip("/")


def _as_at_the_door(rule: Callable[[_T], _U]) -> Callable[[_T], _U]:
    def check(said: _T) -> _U:
        try:
            return rule(said)
        except UsageError as error:
            raise ValueError(error.message.rstrip(".")) from error

    return check


def _kept(said: str | float) -> str | float:
    audio_days(said)
    return said


def _in_bucket(said: str) -> str:
    place_in_bucket(said)
    return said


TimeZone = Annotated[str, AfterValidator(known_zone)]
Language = Annotated[str, AfterValidator(_as_at_the_door(clean_language))]
Tags = Annotated[tuple[str, ...], AfterValidator(_as_at_the_door(clean_tags))]
Vocabulary = Annotated[tuple[str, ...], AfterValidator(_as_at_the_door(clean_vocabulary))]
KeepAudio = Annotated[str | float, AfterValidator(_kept)]
UserId = Annotated[str, AfterValidator(_as_at_the_door(owner_name))]


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Owner(_Row):
    languages: tuple[Language, ...] = ()
    time_zone: TimeZone | None = None
    vocabulary: Vocabulary = ()
    replacements: Mapping[str, str] = {}
    note_language: Language | None = None
    template: str | None = None
    tag_templates: Mapping[str, str] = {}
    local_only: bool = False
    day_budget_usd: float | None = Field(default=None, ge=0)
    keep_audio: KeepAudio | None = None
    keep_days: float | None = Field(default=None, gt=0)

    @field_validator("replacements")
    @classmethod
    def _can_be_heard(cls, said: Mapping[str, str]) -> Mapping[str, str]:
        if not all(any(c.isalnum() for c in heard) and meant.strip() for heard, meant in said.items()):
            raise ValueError("each replacement needs words on both sides")
        return said


class _Source(_Row):
    owner: UserId | None = None
    language: Language | None = None
    whisper_model: str | None = None
    tags: Tags = ()
    template: str | None = None
    vocabulary: Vocabulary = ()
    ignore: tuple[str, ...] = ()
    not_older_than_days: float | None = Field(default=None, gt=0)


class _Folder(_Source):
    path: str = Field(min_length=1)


class _Bucket(_Source):
    url: Annotated[str, AfterValidator(_in_bucket)]


class _File(_Row):
    owners: Mapping[UserId, _Owner] = {}
    folders: tuple[_Folder, ...] = ()
    buckets: tuple[_Bucket, ...] = ()
    llm: Mapping[str, Any] = {}
    templates: Mapping[str, Mapping[str, Any]] = {}

    @field_validator("buckets")
    @classmethod
    def _each_once(cls, said: tuple[_Bucket, ...]) -> tuple[_Bucket, ...]:
        places = [place_in_bucket(one.url) for one in said]
        if twice := [one.url for n, one in enumerate(said) if places[n] in places[:n]]:
            raise ValueError(f"{twice[0]} is named twice, and its objects can be one owner's only")
        return said

    @model_validator(mode="after")
    def _templates_can_be_used(self) -> "_File":
        for name, said in self.templates.items():
            template_from(name, said)
        for who, owner in self.owners.items():
            for named in (owner.template, *owner.tag_templates.values()):
                if named not in (None, DEFAULT.name, *self.templates):
                    raise ValueError(f"owner {who} names the template {named!r}, and there is no table of it")
        for source in self.sources:
            if source.template not in (None, DEFAULT.name, *self.templates):
                where = f"folder {source.path}" if isinstance(source, _Folder) else f"bucket {source.url}"
                raise ValueError(f"{where} names the template {source.template!r}, and there is no table")
        return self

    @property
    def sources(self) -> tuple[_Folder | _Bucket, ...]:
        """Where recordings are looked for."""
        return (*self.folders, *self.buckets)

    def tag_templates(self, owner: str, default_owner: str) -> Mapping[str, str]:
        """Say which template a tag chooses: as the owner says, else as that owner's folders and buckets do."""
        theirs = [f.template for f in self.sources if f.template and (f.owner or default_owner) == owner]
        return {**{name: name for name in theirs}, **self.owners.get(owner, _Owner()).tag_templates}


@dataclass(frozen=True)
class People:
    """What the file says."""

    owners: Mapping[str, Owner]
    folders: tuple[WatchedFolder, ...]
    buckets: tuple[WatchedBucket, ...]
    llm: Mapping[str, Any]
    """Unread; see settings_llm.py."""
    templates: Mapping[str, Template]


def read_people(path: Path, usual: Owner) -> People:
    """Read the file; what owners leave out is as for the usual one, whose the folders are that name no owner."""
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            "config_invalid", f"The file that DIARY_CONFIG names, {path}, cannot be read: {error.strerror}."
        ) from error
    except ValueError as error:  # TOMLDecodeError and UnicodeDecodeError
        raise UsageError("config_invalid", f"{path} is no valid TOML: {error}.") from error
    try:
        file = _File.model_validate(said)
    except ValidationError as error:
        raise UsageError("config_invalid", f"{path}: {first_fault(error)}.") from error
    of_sources = {source.owner or usual.user_id: _Owner() for source in file.sources if source.template}
    owners = {
        name: Owner(
            user_id=name,
            time_zone=owner.time_zone or usual.time_zone,
            languages=owner.languages,
            vocabulary=owner.vocabulary,
            replacements=tuple(sorted(owner.replacements.items())),
            note_language=owner.note_language,
            template=owner.template,
            tag_templates=tuple(file.tag_templates(name, usual.user_id).items()),
            local_only=owner.local_only,
            day_budget_usd=owner.day_budget_usd,
            keep_audio_days=usual.keep_audio_days if owner.keep_audio is None else audio_days(owner.keep_audio),
            keep_days=owner.keep_days or usual.keep_days,
        )
        for name, owner in {**of_sources, **file.owners}.items()
    }
    folders = tuple(_watched(folder, path.parent, usual.user_id) for folder in file.folders)
    buckets = tuple(
        WatchedBucket(*place_in_bucket(bucket.url), **_rules(bucket, usual.user_id)) for bucket in file.buckets
    )
    templates = {name: template_from(name, said) for name, said in file.templates.items()}
    return People(owners, folders, buckets, file.llm, templates)


def _watched(folder: _Folder, beside: Path, default_owner: str) -> WatchedFolder:
    return WatchedFolder((beside / Path(folder.path).expanduser()).absolute(), **_rules(folder, default_owner))


def _rules(source: _Source, default_owner: str) -> dict[str, Any]:
    said = {name: getattr(source, name) for name in _Source.model_fields if name != "template"}
    tags = (*source.tags, *([source.template] if source.template else []))
    return {**said, "owner": source.owner or default_owner, "tags": tuple(dict.fromkeys(tags))}


def first_fault(error: ValidationError) -> str:
    """Say where the first fault lies and what it is, without repeating the value (it may be a secret)."""
    fault = error.errors(include_url=False, include_input=False)[0]
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in fault["loc"] if part != "[key]")
    if fault["type"] == "extra_forbidden":
        return f"{where.lstrip('.')} is not a known key"
    what = fault["msg"].removeprefix("Value error, ")
    return f"{where.lstrip('.')}: {what[:1].lower()}{what[1:]}"
