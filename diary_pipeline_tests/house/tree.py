"""The files of the repository, for tests about the house itself."""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "diary_pipeline"


@cache
def files() -> tuple[Path, ...]:
    """Every file that git tracks or would track."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    return tuple(ROOT / name for name in listed if (ROOT / name).is_file())


def python_files() -> list[Path]:
    """Every Python file of the product, its tests and its benchmarks."""
    return [file for file in files() if file.suffix == ".py"]


def product_files() -> list[Path]:
    """Every Python file of the installed package."""
    return [file for file in python_files() if file.is_relative_to(PACKAGE)]


def shown(file: Path) -> str:
    """The name of a file as messages give it."""
    return file.relative_to(ROOT).as_posix()


@cache
def parsed(file: Path) -> ast.Module:
    """The syntax tree of a Python file."""
    return ast.parse(file.read_text(encoding="utf-8"), str(file))


def imports_at_load(file: Path) -> Iterator[str]:
    """Modules that a file imports while it is itself imported: not in functions, not for type checkers only."""
    yield from _imports(parsed(file).body)


def _imports(body: list[ast.stmt]) -> Iterator[str]:
    for statement in body:
        match statement:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module)):
                yield module
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                continue
            case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=otherwise):
                yield from _imports(otherwise)
            case _:
                for name in ("body", "orelse", "finalbody"):
                    yield from _imports(getattr(statement, name, []))
                for handler in getattr(statement, "handlers", []):
                    yield from _imports(handler.body)
