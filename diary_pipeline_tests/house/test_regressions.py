"""The promises of old defects are kept by name: none of these tests may go missing."""

import ast
import re

import pytest

from diary_pipeline_tests.house.tree import ROOT, parsed, python_files

PROMISES = {
    "regression_01": "every entry point imports in a clean checkout",
    "regression_02": "a job with null or nested metadata",
    "regression_03": "two workers, one job: exactly one result",
    "regression_04": "no worker up: the job waits",
    "regression_05": "all language models down: the status is not completed",
    "regression_06": "the cache key contains model and parameters",
    "regression_07": "cancel wins over the worker",
    "regression_08": "failed work raises the failed counter",
    "regression_09": "metrics have bounded labels",
    "regression_10": "the recording date is not the processing date",
    "regression_11": "a changed model setting is really called",
    "regression_12": "redirecting URL, odd MIME type, lying Content-Length, private-address URL",
    "same_name_new_bytes": "two contents under one name are two recordings",
    "odd_names_backfill": "names that break others, many at once",
    "slot_and_reload": "who holds the only slot is killed, the code server is restarted",
}
"""What a test says in its name, and what it holds."""


def names() -> list[str]:
    return [
        node.name
        for file in python_files()
        if file.is_relative_to(ROOT / "diary_pipeline_tests") and file.name.startswith("test_")
        for node in ast.walk(parsed(file))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]


@pytest.mark.parametrize("promise", PROMISES)
def test_every_promise_has_a_test_by_name(promise: str) -> None:
    assert [name for name in names() if re.match(rf"test_{promise}(_|$)", name)], PROMISES[promise]
