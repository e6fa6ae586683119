"""What every file must be: one question long, named by a noun, opened by a docstring, free of one machine's paths."""

import ast
import re

from diary_pipeline_tests.house.tree import PACKAGE, files, imports_at_load, parsed, product_files, python_files, shown

WALL = 400
NO_NOUN = {"utils", "util", "helpers", "helper", "common", "misc", "base", "manager", "constants"}
TEXT = {".py", ".md", ".toml", ".yaml", ".yml", ".txt", ".sql", ".json", ".cfg", ".sh", ""}
# Written apart, so that this file does not hold what it looks for.
ONE_MACHINE = re.compile("|".join([r"/wor" + r"k/", r"/roo" + r"t/", r"/tmp/" + r"w/"]))
OWNERS = {  # a heavy module is imported at load by the files that own it, and by nobody else
    "av": ("audio/probe.py", "audio/decode.py"),
    "faster_whisper": ("transcription/whisper/faster_whisper.py", "transcription/speech/speech_activity.py"),
    "ctranslate2": ("transcription/whisper/faster_whisper.py", "transcription/speech/speech_activity.py"),
    "onnxruntime": ("transcription/whisper/faster_whisper.py", "transcription/speech/speech_activity.py"),
    "duckdb": ("catalogue/",),
    "fastapi": ("api/",),
    "pyarrow": ("catalogue/",),
    "sqlalchemy": ("ledger/", "instance/", "defs/wipe/"),
    "dagster": ("definitions.py", "defs/", "instance/", "cli/drain.py"),
    **dict.fromkeys(
        ("torch", "pandas", "google", "kubernetes", "openai", "anthropic", "mistralai", "xllamacpp", "dbt"),
        (),
    ),
}


def test_no_file_outgrows_the_wall() -> None:
    long = {shown(f): n for f in python_files() if (n := len(f.read_text(encoding="utf-8").splitlines())) > WALL}
    assert not long, f"look for the second noun: {long}"


def test_modules_are_named_after_what_they_hold() -> None:
    vague = [shown(f) for f in python_files() if f.stem in NO_NOUN or f.parent.name in NO_NOUN]
    assert not vague


def test_every_module_opens_with_a_docstring() -> None:
    silent = [shown(f) for f in python_files() if not ast.get_docstring(parsed(f))]
    assert not silent, f"say what it holds, what does not belong, and the surprise: {silent}"


def test_an_init_file_holds_a_docstring_and_nothing_else() -> None:
    busy = [shown(f) for f in product_files() if f.name == "__init__.py" and len(parsed(f).body) != 1]
    assert not busy, f"one name, one import path: {busy}"


def test_no_postponed_annotations_where_dagster_reads_them() -> None:
    postponed = [
        shown(f)
        for f in product_files()
        if "defs" in f.relative_to(PACKAGE).parts and "__future__" in set(imports_at_load(f))
    ]
    assert not postponed, f"dagster cannot read context and config then: {postponed}"


def test_heavy_modules_are_imported_at_load_by_their_owner_alone() -> None:
    strays = []
    for file in product_files():
        name = file.relative_to(PACKAGE).as_posix()
        for module in imports_at_load(file):
            owners = OWNERS.get(module.partition(".")[0])
            if owners is not None and not any(name.startswith(owner) for owner in owners):
                strays.append(f"{name} imports {module}")
    assert not strays, f"import inside the function that needs it: {strays}"


def test_no_file_names_a_folder_of_one_machine() -> None:
    found = []
    for file in files():
        if file.suffix in TEXT:
            text = file.read_text(encoding="utf-8", errors="ignore")
            found += [f"{shown(file)}: {match.group()}" for match in ONE_MACHINE.finditer(text)]
    assert not found
