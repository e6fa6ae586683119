"""What the documents mention exists: make targets, settings, commands; and what is generated is current."""

import ast
import re
from pathlib import Path

import pytest

from diary_pipeline.catalogue import schema_page
from diary_pipeline.cli.main import app
from diary_pipeline.settings import OTHERS, SETTINGS
from diary_pipeline.settings_pages import FILES
from diary_pipeline_tests.house.tree import ROOT, files, parsed, product_files, shown

DOCUMENTS = [f for f in files() if f.suffix == ".md" or f.name in ("run", "ci.yml", "Makefile", ".env.example")]
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.M))


@pytest.mark.parametrize("name", FILES)
def test_the_generated_file_is_current(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == FILES[name](), "run `make env-example`"


def test_the_page_of_the_catalogue_is_current() -> None:
    assert (ROOT / schema_page.PAGE).read_text(encoding="utf-8") == schema_page.page(), "run `make catalogue-docs`"


def test_every_make_target_that_is_mentioned_exists() -> None:
    named = {
        (shown(file), target)
        for file in DOCUMENTS
        for said in re.findall(
            r"(?:`|^\s*|run: )make ((?:[a-z][a-z-]*[ `\n]?)+)", file.read_text(encoding="utf-8"), re.M
        )
        for target in re.split(r"[\s`]+", said.split("`")[0].split("\n")[0].strip())
    }
    assert not {(file, target) for file, target in named if target and target not in TARGETS}


def test_every_command_that_is_mentioned_exists() -> None:
    commands = {c.name or c.callback.__name__ for c in app.registered_commands if c.callback}
    commands |= {group.name for group in app.registered_groups if group.name}
    texts = [(file, file.read_text(encoding="utf-8")) for file in DOCUMENTS]
    texts += [(file, text) for file in product_files() for text in said_in(file)]
    named = {
        (shown(file), name) for file, text in texts for name in re.findall(r"(?:`|^\$ )diary ([a-z]+)", text, re.M)
    }
    assert not {(file, name) for file, name in named if name not in commands}


def test_every_make_target_is_explained() -> None:
    explained = set(re.findall(r"^([a-z][a-z-]*):.*## ", (ROOT / "Makefile").read_text(), re.M))
    assert explained == TARGETS


def test_every_setting_that_is_mentioned_exists() -> None:
    texts = [(file, file.read_text(encoding="utf-8")) for file in DOCUMENTS]
    texts += [(file, text) for file in product_files() for text in said_in(file)]
    named = {(shown(file), name) for file, text in texts for name in re.findall(r"\bDIARY_[A-Z0-9_]*[A-Z0-9]\b", text)}
    unknown = {(file, name) for file, name in named if name not in SETTINGS and name not in OTHERS}
    assert not unknown - {("diary_pipeline/settings.py", "DIARY_BEEM_SIZE")}


def said_in(file: Path) -> list[str]:
    """The strings and docstrings of a Python file: what reaches people."""
    return [n.value for n in ast.walk(parsed(file)) if isinstance(n, ast.Constant) and isinstance(n.value, str)]


def test_every_setting_changes_something() -> None:
    own = {"settings.py", "settings_kinds.py", "settings_file.py", "settings_pages.py"}
    code = "\n".join(file.read_text(encoding="utf-8") for file in product_files() if file.name not in own)
    unread = {variable for variable, name in SETTINGS.items() if not re.search(rf"\.{name}\b", code)}
    inside = "CONFIG DEFAULT_OWNER DROP_DIR TIME_ZONE KEEP_AUDIO KEEP_DAYS".split()  # owners and folders in settings.py
    assert not unread - {f"DIARY_{name}" for name in inside}, "read or delete"
