"""What stands beside a recording: `<file>.json` with `recorded_at`, `title`, `tags` and `vocabulary`.

A sidecar helps and never harms: one that cannot be read or believed is left out as a whole, with a code in the log and
a sentence beside the recording's date, and the audio is taken all the same. Fields we do not know are other programs'
business.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from diary_pipeline.core.errors import UsageError
from diary_pipeline.intake.options import MAX_TITLE, Options, clean_tags, clean_text, clean_vocabulary, instant

SUFFIX = ".json"
MAX_BYTES = 64 * 1024  # four short fields; anything larger is somebody else's data


@dataclass(frozen=True)
class Sidecar:
    """What the sidecar says, or why it was left out (`code`)."""

    recorded_at: str | None = None
    title: str | None = None
    tags: tuple[str, ...] = ()
    vocabulary: tuple[str, ...] = ()
    code: str | None = None

    def under(self, options: Options) -> Options:
        """Fill what the submitter did not say; tags and vocabulary add up."""
        return Options(
            whisper_model=options.whisper_model,
            language=options.language,
            recorded_at=options.recorded_at or self.recorded_at,
            title=options.title or self.title,
            tags=tuple(dict.fromkeys((*options.tags, *self.tags))),
            vocabulary=tuple(dict.fromkeys((*options.vocabulary, *self.vocabulary))),
            sha256=options.sha256,
        )


def sidecar_of(audio: Path) -> Path:
    """Name the sidecar of an audio file: its whole name with `.json` behind it."""
    return audio.with_name(audio.name + SUFFIX)


def is_sidecar(path: Path) -> bool:
    """Say whether a file is the sidecar of a file that lies beside it."""
    audio = path.name.removesuffix(SUFFIX)
    return audio not in ("", path.name) and path.with_name(audio).is_file()


def read_sidecar(audio: Path) -> Sidecar:
    """Read the sidecar of an audio file; an empty one where there is none."""
    path = sidecar_of(audio)
    try:
        if not path.is_file():
            return Sidecar()
        if path.stat().st_size > MAX_BYTES:
            return Sidecar(code="sidecar_too_large")
        said = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return Sidecar(code="sidecar_unreadable")
    if not isinstance(said, Mapping):
        return Sidecar(code="sidecar_invalid")
    try:
        moment = clean_text(said.get("recorded_at"), "recorded_at", MAX_TITLE)
        if moment is not None:
            instant(moment, "UTC")
        return Sidecar(
            recorded_at=moment,
            title=clean_text(said.get("title"), "title", MAX_TITLE),
            tags=clean_tags(said.get("tags")),
            vocabulary=clean_vocabulary(said.get("vocabulary")),
        )
    except UsageError:
        return Sidecar(code="sidecar_invalid")
