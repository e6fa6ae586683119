"""Days as people type them."""

import datetime as dt

from diary_pipeline.core.errors import UsageError


def day(said: str | None) -> dt.date | None:
    """Read YYYY-MM-DD; None: nothing was said. UsageError `day_invalid`."""
    try:
        return dt.date.fromisoformat(said) if said else None
    except ValueError as error:
        raise UsageError("day_invalid", f"{said!r} is no day: write it as YYYY-MM-DD.") from error
