"""Whose diary it is, and what we were told about how they speak."""

from dataclasses import dataclass

DEFAULT_OWNER = "me"


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
