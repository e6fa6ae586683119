"""Which objects of a watched bucket are recordings to take, and whose. Pure: names in, decisions out.

The submission of an object stands in announced.py, looking through a bucket in bucket_scan.py. No ledger is known here,
because settings name buckets and must stay light. As in a watched folder nothing in it is moved, renamed, written or
deleted, and here too a name's suffix counts. The surprise: an object's name may hold anything, `#` and spaces included,
so our addresses of objects are not percent-encoded and end in `#<generation>`, the last `#` being the one that counts.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from diary_pipeline.core.errors import UsageError
from diary_pipeline.core.owner import DEFAULT_OWNER
from diary_pipeline.intake.options import Options
from diary_pipeline.intake.sources import is_ignored, looks_like_media

_URL = re.compile(r"gs://([a-z0-9][a-z0-9._-]{1,221}[a-z0-9])(?:/(.*))?", re.DOTALL)
_GENERATION = re.compile(r"(.+)#([0-9]{1,19})", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DAY_S = 86_400.0


@dataclass(frozen=True)
class WatchedBucket:
    """The objects of one bucket below one prefix; what is None or empty is decided by the owner and the deployment."""

    bucket: str
    prefix: str = ""
    """What names begin with; no slash is added."""
    owner: str = DEFAULT_OWNER
    language: str | None = None
    whisper_model: str | None = None
    tags: tuple[str, ...] = ()
    vocabulary: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    """Patterns as in `fnmatch`, against the name below the prefix and each part of it; as of a watched folder."""
    not_older_than_days: float | None = None
    """Objects that were written longer ago are left alone when the bucket is listed."""

    @property
    def url(self) -> str:
        """Where it is."""
        return f"gs://{self.bucket}/{self.prefix}"

    def wishes(self) -> Options:
        """What is asked for all its recordings."""
        named = ("language", "whisper_model", "tags", "vocabulary")
        return Options.read({name: getattr(self, name) for name in named})


def place_in_bucket(url: str) -> tuple[str, str]:
    """Split `gs://bucket/anything` into bucket and name or prefix; ValueError."""
    found = _URL.fullmatch(url)
    if found is None:
        raise ValueError("say it as gs://BUCKET or gs://BUCKET/PREFIX")
    return found[1], found[2] or ""


def object_uri(bucket: str, name: str, generation: int | None) -> str:
    """Write the address of an object, of one generation of it where one is known."""
    return f"gs://{bucket}/{name}" + (f"#{generation}" if generation is not None else "")


def object_of(uri: str) -> tuple[str, str, int | None]:
    """Split the address of an object into bucket, name and generation; UsageError `object_address_invalid`."""
    pinned = _GENERATION.fullmatch(uri)
    try:
        bucket, name = place_in_bucket(pinned[1] if pinned else uri)
    except ValueError:
        name = bucket = ""
    if not name or name.endswith("/") or _CONTROL.search(name):
        raise UsageError(
            "object_address_invalid",
            "An object is addressed as gs://BUCKET/NAME or gs://BUCKET/NAME#GENERATION; "
            "a bucket's name has 3 to 223 of a-z, 0-9, dot, dash and underscore, with a letter or digit at both ends.",
        )
    return bucket, name, int(pinned[2]) if pinned else None


def rule_for(bucket: str, name: str, rules: Iterable[WatchedBucket]) -> WatchedBucket | None:
    """Choose the rule that an object falls under: of those that hold it, the one with the longest prefix."""
    holding = [rule for rule in rules if rule.bucket == bucket and name.startswith(rule.prefix)]
    return max(holding, key=lambda rule: len(rule.prefix), default=None)


def is_recording(name: str, rule: WatchedBucket) -> bool:
    """Say whether an object may be a recording to take, by its name alone."""
    if name.endswith("/") or _CONTROL.search(name):  # a folder as consoles make them; nothing that a ledger can hold
        return False
    below = name.removeprefix(rule.prefix).lstrip("/")
    parts = below.split("/")
    if any(part.startswith(".") for part in parts) or not looks_like_media(parts[-1]):
        return False
    return not any(is_ignored("/".join(parts[:n]), rule.ignore) for n in range(1, len(parts) + 1))


def is_recent(written_at: float, now: float, rule: WatchedBucket) -> bool:
    """Say whether an object is not older than its rule wants."""
    return rule.not_older_than_days is None or now - written_at <= rule.not_older_than_days * _DAY_S


def our_prefix(bucket: str, store: str | None) -> str | None:
    """Return what the names of our own objects in a bucket begin with, if `store` (gs://...) lies in it."""
    if store is None:
        return None
    ours, prefix = place_in_bucket(store)
    if ours != bucket:
        return None
    return f"{prefix.rstrip('/')}/" if prefix else ""


def within_store(rules: Iterable[WatchedBucket], store: str | None) -> str | None:
    """Return the address of a rule that lies in our own store; None: none does."""
    for rule in rules:
        ours = our_prefix(rule.bucket, store)
        if ours is not None and rule.prefix.startswith(ours):
            return rule.url
    return None
