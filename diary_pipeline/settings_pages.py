"""The settings as people read them: rows for `diary doctor`, `.env.example` and docs/configuration.md.

Nothing is decided here. The two files are generated (`make env-example`); a house test fails when they are not current.
"""

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from diary_pipeline import settings_file, settings_llm
from diary_pipeline.settings import SETTINGS, Settings, as_text, load_settings

EXAMPLE_HOME = "/srv/example/.diary"
HEADER = (
    "# Generated from diary_pipeline/settings.py by `make env-example`. Copy to .env and uncomment what you change."
)


@dataclass(frozen=True)
class SettingRow:
    """One setting of this deployment."""

    group: str
    name: str
    value: str
    source: str
    """`default`, `machine` (found on this computer), `environment` or `file` (DIARY_CONFIG)."""
    description: str


def explain(settings: Settings) -> list[SettingRow]:
    """List every setting with its value, where that came from and what it is for; passwords are masked."""
    rows = []
    for variable, name in SETTINGS.items():
        field = Settings.model_fields[name]
        extra = field.json_schema_extra
        assert isinstance(extra, dict)  # noqa: S101 -- SETTINGS holds only such fields
        value = as_text(getattr(settings, name))
        rows.append(
            SettingRow(
                group=str(extra["group"]),
                name=variable,
                value=_hidden(value) if extra["secret"] else value,
                source=settings.origins.get(name, "default"),
                description=field.description or "",
            )
        )
    return [*rows, *_people(settings), *_models(settings)]


def _people(settings: Settings) -> Iterator[SettingRow]:
    for owner in settings.owners.values():
        said = [f"time_zone={owner.time_zone}"]
        said += [f"languages={','.join(owner.languages)}"] if owner.languages else []
        said += [f"{len(owner.vocabulary)} words of vocabulary"] if owner.vocabulary else []
        said += [f"{len(owner.replacements)} replacements"] if owner.replacements else []
        said += [
            f"{name}={as_text(value)}"
            for name in ("note_language", "template", "local_only", "day_budget_usd")
            if (value := getattr(owner, name)) not in (None, False)
        ]
        yield SettingRow("People", f"owners.{owner.user_id}", "; ".join(said), "file", "An owner.")
    for number, folder in enumerate(settings.folders[1:], start=1):
        yield SettingRow(
            "People", f"folders.{number}", f"{folder.path} for {folder.owner}", "file", "A watched folder."
        )


def _models(settings: Settings) -> Iterator[SettingRow]:
    llm = settings.llm
    if not llm.routes:
        return
    for name, value in llm.policy:
        source = "file" if name in llm.policy.model_fields_set else "default"
        yield SettingRow("Language models", f"llm.{name}", as_text(value), source, "A rule for all routes.")
    for route in llm.routes:
        price = route.price
        cost = f"{price.input}/{price.output} USD a million tokens as of {price.as_of}" if price else "price unknown"
        said = [f"{route.model} at {route.base_url or route.provider}", "free" if route.local and not price else cost]
        said += [f"not used: {why}"] if (why := llm.unused(route)) else []
        yield SettingRow("Language models", f"llm.routes.{route.name}", "; ".join(said), "file", "A language model.")


def _hidden(secret: str) -> str:
    return masked(secret) if "://" in secret or not secret else "***"


def masked(url: str) -> str:
    """Hide the password of a URL."""
    return re.sub(r"(?<=://)([^/@:]*):[^/]*@", r"\1:***@", url)


def _example() -> Iterable[tuple[str, list[SettingRow]]]:
    rows = explain(load_settings({"DIARY_HOME": EXAMPLE_HOME, "TZ": "UTC", "XDG_CACHE_HOME": "~/.cache"}))
    shown = [SettingRow(row.group, row.name, _portable(row), row.source, row.description) for row in rows]
    return [(group, list(found)) for group, found in itertools.groupby(shown, key=lambda row: row.group)]


def _portable(row: SettingRow) -> str:
    if row.name == "DIARY_HOME":
        return ".diary"
    if row.name == "DIARY_MODEL_DIR":
        return "~/.cache/diary_pipeline/models"
    # a path below DIARY_HOME is told as such: no file of the repository names a folder of one machine
    return row.value.replace(f"sqlite:///{EXAMPLE_HOME}/", "sqlite:///.diary/").replace(EXAMPLE_HOME, ".diary")


def env_example() -> str:
    """Write `.env.example`: every variable with its default, commented out."""
    lines = [HEADER]
    for group, rows in _example():
        lines += ["", f"# {group}"]
        for row in rows:
            lines += [f"# {row.description}", f"#{row.name}={row.value}"]
    return "\n".join(lines) + "\n"


def configuration_page() -> str:
    """Write docs/configuration.md."""
    lines = [
        "# Configuration",
        "",
        "Generated from `diary_pipeline/settings.py` by `make env-example`; change it there.",
        "",
        "Variables are read from the environment and, where that is silent, from `.env` in the working directory.",
        "`diary doctor` prints them all with their sources. A misspelt `DIARY_*` variable is an error. Relative paths",
        "start where the command runs; those below `.diary` move with `DIARY_HOME`.",
    ]
    for group, rows in _example():
        lines += ["", f"## {group}", "", "| variable | default | what it is for |", "|---|---|---|"]
        lines += [f"| `{row.name}` | {f'`{row.value}`' if row.value else ''} | {row.description} |" for row in rows]
    lines += ["", "## The file", "", *_with_example(settings_file.__doc__)]
    lines += ["", "## Language models", "", *_with_example(settings_llm.__doc__)]
    return "\n".join([*lines, "", "An unknown key is an error."]) + "\n"


def _with_example(docstring: str | None) -> Iterator[str]:
    """Give the first sentence of a docstring and the indented example below it."""
    intro, _, rest = (docstring or "").partition("\n\n")
    example = itertools.takewhile(lambda line: not line or line.startswith("    "), rest.splitlines())
    yield from (
        intro,
        "",
        "```toml",
        *"\n".join(line.removeprefix("    ") for line in example).strip().splitlines(),
        "```",
    )


FILES = {".env.example": env_example, "docs/configuration.md": configuration_page}


def main(root: Path = Path()) -> None:
    """Write both files below a folder, the working directory unless told."""
    for name, write in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(write(), encoding="utf-8")


if __name__ == "__main__":
    main()
