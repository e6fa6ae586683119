"""Regression 8 of the older system: work that fails raises the counter that operators watch."""

import re
from collections.abc import Iterator

import pytest

from diary_pipeline.storage.folder import FolderStore
from diary_pipeline_tests.api.answering import Answering, answering
from diary_pipeline_tests.contract.test_commits import failed
from diary_pipeline_tests.contract.test_retries import crashed
from diary_pipeline_tests.diaries import Diary


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Answering]:
    with answering(str(tmp_path_factory.mktemp("counted"))) as found:
        yield found


def failures(api: Answering, code: str) -> float:
    """What the counter of failures says of a code."""
    text = api.client.get("/metrics").text
    counted = re.search(rf'^diary_recordings_ended_total{{code="{code}",status="failed"}} (\S+)$', text, re.MULTILINE)
    return float(counted[1]) if counted else 0.0


def test_failed_work_raises_the_failed_counter(api: Answering) -> None:
    diary = Diary(api.parts.ledger, FolderStore(api.parts.settings.object_dir))
    one, two = diary.accept("one.m4a", "two.m4a")
    failed(diary, "transcript", [one], "internal_error")
    assert failures(api, "internal_error") == 1
    failed(diary, "transcript", [two], "internal_error")
    assert failures(api, "internal_error") == 2


def test_a_failure_that_is_tried_again_is_not_counted_before_it_is_one(api: Answering) -> None:
    diary = Diary(api.parts.ledger, FolderStore(api.parts.settings.object_dir))
    [memo] = diary.accept("three.m4a")
    crashed(diary, "transcript", [memo], reason_code="device_failed")
    assert failures(api, "device_failed") == 0
