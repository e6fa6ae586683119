"""What the machine says about itself before anybody configures anything: its time zone, its cache folder."""

from collections.abc import Mapping
from pathlib import Path

from diary_pipeline.settings_file import known_zone


def of_machine(env: Mapping[str, str]) -> dict[str, str]:
    """Give the settings whose defaults the machine knows better."""
    found = {"time_zone": _zone_of_machine(env)}
    if cache := env.get("XDG_CACHE_HOME"):
        found["model_dir"] = f"{cache}/diary_pipeline/models"
    return found


def _zone_of_machine(env: Mapping[str, str]) -> str:
    link = Path("/etc/localtime")
    linked = str(link.resolve()).partition("zoneinfo/")[2] if link.is_symlink() else ""
    for name in (env.get("TZ", "").lstrip(":"), linked):
        try:
            if name:
                return known_zone(name)
        except ValueError:
            continue
    return "UTC"
