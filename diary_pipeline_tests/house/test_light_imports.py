"""What may be loaded by whom, in fresh interpreters: `diary --help` answers at once, the location needs no extras."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from diary_pipeline_tests.house.tree import ROOT, files, product_files, shown

HEAVY_FOR_THE_COMMAND_LINE = (
    "dagster duckdb pyarrow sqlalchemy av onnxruntime ctranslate2 faster_whisper torch fastapi dbt numpy pandas".split()
)
HEAVY_FOR_THE_CODE_LOCATION = (
    "torch faster_whisper ctranslate2 onnxruntime openai anthropic mistralai google.cloud xllamacpp dbt dagster_dbt"
).split()
EXTRAS = (
    "torch openai anthropic mistralai redis kubernetes dagster_gcp dagster_k8s dagster_postgres psycopg2 jiwer "
    "whisper_normalizer xllamacpp"
).split()

LOADED = (
    "import importlib, sys; importlib.import_module(sys.argv[1]); print(*[m for m in sys.argv[2:] if m in sys.modules])"
)
WITHOUT = """
import importlib, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if any(name == m or name.startswith(m + ".") for m in sys.argv[2:]):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
location = importlib.import_module(sys.argv[1])
import dagster
dagster.Definitions.validate_loadable(location.defs)
"""


IMPORTED = """
import importlib, sys
for name in sys.argv[2:]:
    file = importlib.import_module(name).__file__
    assert file.startswith(sys.argv[1]), file
"""


def in_fresh_interpreter(code: str, module: str, names: list[str], checkout: Path = ROOT) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DIARY_")}
    done = subprocess.run(
        [sys.executable, "-c", code, module, *names],
        capture_output=True,
        text=True,
        check=False,
        env={**environment, "PYTHONPATH": str(checkout)},
        cwd=checkout,  # where `python -c` looks first
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("diary_pipeline.cli.main", HEAVY_FOR_THE_COMMAND_LINE),
        ("diary_pipeline.settings_pages", HEAVY_FOR_THE_COMMAND_LINE),
        ("diary_pipeline.definitions", HEAVY_FOR_THE_CODE_LOCATION),
    ],
)
def test_importing_it_loads_nothing_heavy(module: str, heavy: list[str]) -> None:
    assert in_fresh_interpreter(LOADED, module, heavy) == ""


def test_the_code_location_loads_with_no_extras_installed() -> None:
    in_fresh_interpreter(WITHOUT, "diary_pipeline.definitions", EXTRAS)


def entry_points() -> Iterator[str]:
    """Modules by which somebody begins: scripts, commands, the code location, both APIs, what `python -m` runs."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    yield from (script.partition(":")[0] for script in scripts.values())
    yield from re.findall(r"module_name: (\S+)", (ROOT / "workspace.yaml").read_text(encoding="utf-8"))
    yield "diary_pipeline.api.app"
    for file in product_files():
        if file.parent.name == "cli" or '__name__ == "__main__"' in file.read_text(encoding="utf-8"):
            yield shown(file).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@pytest.mark.slow
def test_regression_01_every_entry_point_imports_in_a_clean_checkout(tmp_path: Path) -> None:
    for file in files():
        if not file.is_relative_to(ROOT / "diary_pipeline_tests"):
            copy = tmp_path / shown(file)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, copy)
    names = sorted(set(entry_points()))
    assert len(names) > 20
    in_fresh_interpreter(IMPORTED, str(tmp_path), names, tmp_path)
