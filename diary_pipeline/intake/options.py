"""What a submitter may ask for: checked once at the door, kept with the submission as JSON.

Whether a model is offered at all is decided in submit.py and receive.py, which are handed the list. The surprise:
`recorded_at` stays text until the recording is received, because a time without an offset means the owner's time zone.
"""

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from diary_pipeline.core.errors import UsageError
from diary_pipeline.core.languages import KNOWN
from diary_pipeline.core.recording import LONGEST_TITLE

DETECT = "auto"
"""As a language: detect it, also where a known recording had one forced."""
NOTHING = "-"
"""As the whole vocabulary: none, also where a known recording had some."""
MAX_TITLE = LONGEST_TITLE
MAX_TAGS = 50
MAX_TAG = 64
MAX_TERMS = 100
"""Far more than a model reads of its hints (Whisper: some 220 tokens, the first ones)."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SHA256 = re.compile(r"[0-9A-Fa-f]{64}")
_EARLIEST_YEAR = 1877  # nothing was recorded before the phonograph; a wrong clock gives 0001 or 0


@dataclass(frozen=True)
class Options:
    """Wishes for one submission; None: the default, or what the file and its sidecar say."""

    whisper_model: str | None = None
    language: str | None = None
    """Force this language (ISO 639-1) instead of detecting one; DETECT lets a known recording's go."""
    recorded_at: str | None = None
    """ISO 8601; without an offset it is read in the owner's time zone."""
    title: str | None = None
    tags: tuple[str, ...] = ()
    vocabulary: tuple[str, ...] = ()
    """Names and terms that are said in it, beside those of the owner: hints for the model."""
    sha256: str | None = None
    """What the bytes must be, in 64 hex digits; others are refused."""

    @classmethod
    def read(cls, said: Mapping[str, object]) -> "Options":
        """Check what was asked for; empty values mean not asked."""
        unknown = sorted(set(said) - set(cls.__dataclass_fields__))
        if unknown:
            raise UsageError(
                "option_unknown",
                f"There is no option {unknown[0]!r}; use {', '.join(cls.__dataclass_fields__)}.",
            )
        moment = clean_text(said.get("recorded_at"), "recorded_at", MAX_TAG)
        if moment is not None:
            instant(moment, "UTC")
        return cls(
            whisper_model=clean_text(said.get("whisper_model"), "whisper_model", MAX_TITLE),
            language=DETECT if said.get("language") == DETECT else clean_language(said.get("language")),
            recorded_at=moment,
            title=clean_text(said.get("title"), "title", MAX_TITLE),
            tags=clean_tags(said.get("tags")),
            vocabulary=clean_vocabulary(said.get("vocabulary")),
            sha256=clean_sha256(said.get("sha256")),
        )

    def as_json(self) -> dict[str, object]:
        """Only what was asked for."""
        wishes = {"whisper_model": self.whisper_model, "language": self.language, "recorded_at": self.recorded_at}
        lists = {"tags": list(self.tags), "vocabulary": list(self.vocabulary)}
        return {k: v for k, v in {**wishes, "title": self.title, **lists, "sha256": self.sha256}.items() if v}


def clean_text(value: object, name: str, longest: int) -> str | None:
    """Give one line of storable text, or None when there is none."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise UsageError("option_invalid", f"{name} must be text.")
    text = " ".join(_CONTROL.sub(" ", value).split())
    if len(text) > longest:
        raise UsageError("option_invalid", f"{name} must not be longer than {longest} characters.")
    try:
        text.encode()
    except UnicodeEncodeError:  # half of an emoji, as JSON escapes allow; no database takes it
        raise UsageError("option_invalid", f"{name} holds characters that are no valid Unicode.") from None
    return text or None


def clean_language(value: object) -> str | None:
    """Give a language code in lower case, or None when there is none."""
    language = clean_text(value, "language", MAX_TAG)
    if language is not None and language.lower() not in KNOWN:
        raise UsageError(
            "option_invalid",
            f"language must be an ISO 639-1 code that Whisper knows, such as 'en', or 'auto', not {language!r}.",
        )
    return language.lower() if language else None


def clean_tags(value: object) -> tuple[str, ...]:
    """Give each tag once, in the order given."""
    if value is None:
        return ()
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise UsageError("option_invalid", "tags must be a list of texts.")
    tags = tuple(dict.fromkeys(tag for tag in (clean_text(v, "a tag", MAX_TAG) for v in value) if tag))
    if len(tags) > MAX_TAGS:
        raise UsageError("option_invalid", f"A recording takes at most {MAX_TAGS} tags.")
    return tags


def clean_vocabulary(value: object) -> tuple[str, ...]:
    """Give each name or term once, in the order given; a text may hold several with commas between them."""
    if value is None:
        return ()
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, Iterable):
        raise UsageError("option_invalid", "vocabulary must be a list of texts.")
    parts = [part for text in texts for part in (text.split(",") if isinstance(text, str) else [text])]
    terms = tuple(dict.fromkeys(term for part in parts if (term := clean_text(part, "a term of vocabulary", MAX_TAG))))
    if len(terms) > MAX_TERMS:
        raise UsageError("option_invalid", f"A vocabulary has at most {MAX_TERMS} names and terms.")
    return terms


def clean_sha256(value: object) -> str | None:
    """Give a checksum in lower case, or None when there is none."""
    digits = clean_text(value, "sha256", MAX_TITLE)
    if digits is not None and not _SHA256.fullmatch(digits):
        raise UsageError("option_invalid", "sha256 must be the 64 hex digits of the file's SHA-256.")
    return digits.lower() if digits else None


def instant(text: str, zone: str) -> dt.datetime:
    """Read an ISO 8601 time as aware UTC; without an offset it is local to `zone`."""
    try:
        said = dt.datetime.fromisoformat(text)
        at = (said if said.tzinfo else said.replace(tzinfo=ZoneInfo(zone))).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise UsageError(
            "recorded_at_invalid", f"recorded_at must be a time such as 2026-05-01T21:30+02:00, not {text!r}."
        ) from None
    if at.year < _EARLIEST_YEAR:
        told = f"recorded_at must not lie before {_EARLIEST_YEAR}, as {text!r} does; nothing was recorded then."
        raise UsageError("recorded_at_invalid", told)
    return at
