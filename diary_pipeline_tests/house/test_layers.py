"""The layers hold because a breach of them fails `make lint`; here breaches are made on a copy."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from diary_pipeline_tests.house.tree import PACKAGE, ROOT

LINT = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("copy")
    shutil.copytree(PACKAGE, root / "diary_pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", root)
    return root


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.run(LINT, cwd=root, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("core/owner.py", "import diary_pipeline.ledger.tables"),
        ("notes/__init__.py", "import diary_pipeline.settings"),
        ("notes/__init__.py", "import diary_pipeline.transcription"),
        ("instance/__init__.py", "import diary_pipeline.storage.keys"),
        ("wiring/stores.py", "import diary_pipeline.instance"),
        ("cli/main.py", "import dagster"),
        ("ledger/__init__.py", "def late():\n    import dagster"),
    ],
)
def test_a_breach_of_the_layers_is_refused(copy: Path, file: str, line: str) -> None:
    broken = copy / "diary_pipeline" / file
    before = broken.read_text()
    broken.write_text(f"{before}\n{line}\n")
    try:
        done = lint(copy)
    finally:
        broken.write_text(before)
    assert done.returncode == 1, done.stdout
    assert "BROKEN" in done.stdout


def test_a_new_room_without_a_place_is_refused(copy: Path) -> None:
    room = copy / "diary_pipeline" / "attic"
    room.mkdir()
    (room / "__init__.py").write_text('"""No place yet."""\n')
    try:
        done = lint(copy)
    finally:
        shutil.rmtree(room)
    assert done.returncode == 1, done.stdout
    assert "attic" in done.stdout


def test_the_house_as_it_stands_is_accepted(copy: Path) -> None:
    done = lint(copy)
    assert done.returncode == 0, done.stdout
