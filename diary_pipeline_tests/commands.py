"""`diary ...` as tests give it, in their own process: what it ended with, what it printed, what it said."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from diary_pipeline.cli.main import main


@dataclass
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]


def ran(capsys: pytest.CaptureFixture[str], arguments: Sequence[str]) -> Ran:
    """Give a command and return what came of it alone."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    said = capsys.readouterr()
    return Ran(int(ended.value.code or 0), said.out, said.err)
