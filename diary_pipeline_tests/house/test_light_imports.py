"""What may be loaded by whom, in fresh interpreters: `diary --help` answers at once, the location needs no extras."""

import os
import subprocess
import sys

import pytest

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


def in_fresh_interpreter(code: str, module: str, names: list[str]) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DIARY_")}
    done = subprocess.run(
        [sys.executable, "-c", code, module, *names], capture_output=True, text=True, check=False, env=environment
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
