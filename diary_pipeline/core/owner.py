"""Whose diary it is, and what we were told about how they speak."""

import math
import re
from dataclasses import dataclass

from diary_pipeline.core.errors import UsageError

DEFAULT_OWNER = "me"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


def owner_name(said: str) -> str:
    """Give the name back when it can be an owner's; it stands in run tags and metadata, so nothing odd gets in."""
    if not _NAME.fullmatch(said):
        raise UsageError(
            "owner_invalid",
            f"{said[:80]!r} cannot be an owner's name; use 1 to 64 letters, digits and . _ @ - and begin with a letter "
            "or a digit.",
        )
    return said


def audio_days(said: str | float) -> float | None:
    """Read how long audio is kept: `forever`, `note` (until there is one) or a number of days; ValueError."""
    if said in ("forever", "note"):
        return None if said == "forever" else 0.0
    try:
        days = float(said)
    except ValueError:
        days = -1.0
    if not 0 <= days < math.inf:
        raise ValueError("it must be forever, note or a number of days")
    return days


@dataclass(frozen=True)
class Owner:
    """Settings of one person; everything is optional."""

    user_id: str = DEFAULT_OWNER
    time_zone: str = "UTC"
    """IANA name. Decides the day of a recording whose source carries no offset."""
    languages: tuple[str, ...] = ()
    """ISO 639-1 codes the owner speaks; empty: any. Detection chooses among them."""
    vocabulary: tuple[str, ...] = ()
    """Names and terms handed to the model as hints."""
    replacements: tuple[tuple[str, str], ...] = ()
    """Pairs of (heard, meant): whole words put right after recognition, exactly as spelled; the raw text is kept."""
    note_language: str | None = None
    """ISO 639-1 of this owner's notes; None: the language of most of the speech."""
    template: str | None = None
    """Name of the template of this owner's notes; None: the default one."""
    tag_templates: tuple[tuple[str, str], ...] = ()
    """Pairs of (tag, template): a recording's first tag that has one decides."""
    local_only: bool = False
    """Only language models on machines of the deployment may see this diary."""
    day_budget_usd: float | None = None
    """US dollars a day (UTC) for language models; None: only the deployment's cap holds."""
    keep_audio_days: float | None = None
    """Days for which our copy of the audio is kept once its note is there, 0: until the note; None: for ever."""
    keep_days: float | None = None
    """Days after which a recording is erased with all that was made of it, from when it was taken in; None: never."""
