"""What machines of the deployment ask: does it live, is it ready, what did it count; and how it fails when it must."""

import contextlib
import re
import resource
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from diary_pipeline.api.app import INGESTION, STATUS
from diary_pipeline.api.health import probes_of
from diary_pipeline.api.parts import GIVE_UP_S
from diary_pipeline.api.probes import Probe
from diary_pipeline.core.errors import ServiceMissing
from diary_pipeline_tests.api.served_home import Home, served_home
from diary_pipeline_tests.contract.test_retries import crashed
from diary_pipeline_tests.diaries import Diary


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with served_home(tmp_path / "home", {"DIARY_RATE_LIMITS": "none"}) as home:
        yield home


def metrics(home: Home) -> str:
    answer = home.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return answer.text


def ready_now(home: Home) -> httpx.Response:
    """Ask whether it is ready, without what is believed for a second."""
    home.app.state.probes = probes_of(home.parts)
    return home.client.get("/ready")


def failed(home: Home) -> dict[str, float]:
    """What the failed counter says, by code."""
    told = re.findall(r'^diary_recordings_ended_total\{code="(\w*)",status="(\w+)"\} (\S+)$', metrics(home), re.M)
    return {code: float(n) for code, status, n in told if status in ("failed", "refused")}


def test_regression_08_failed_work_raises_the_failed_counter(home: Home) -> None:
    diary = Diary(home.parts.ledger, home.parts.store)
    assert failed(home) == {}
    diary.refuse("empty.wav")
    diary.fail("transcript", diary.accept("one.m4a", "two.m4a"))
    assert failed(home) == {"audio_empty": 1, "audio_truncated": 2}
    good = diary.accept("good.m4a")
    diary.transcribe(good)
    diary.write(good)
    assert failed(home) == {"audio_empty": 1, "audio_truncated": 2}
    assert 'diary_recordings_ended_total{code="",status="completed"} 1.0' in metrics(home)


def test_a_failure_that_is_tried_again_is_not_counted_before_it_is_one(home: Home) -> None:
    diary = Diary(home.parts.ledger, home.parts.store)
    crashed(diary, "transcript", diary.accept("one.m4a"), reason_code="device_failed")
    assert failed(home) == {}


def test_regression_09_metrics_have_bounded_labels(home: Home) -> None:
    known = {route.path for router in (*INGESTION, *STATUS) for route in router.routes}  # type: ignore[attr-defined]
    for n in range(60):
        home.client.get(f"/jobs/{n}")
        home.client.get(f"/nowhere/{n}")
        home.client.request(f"X{n}", "/jobs")
        home.client.get("/jobs", params={"cursor": str(n), "user_id": f"user-{n}"})
    text = metrics(home)
    labels = {
        (m, r) for m, r in re.findall(r'diary_http_requests_total\{api="all",method="(\w+)",route="([^"]+)"', text)
    }
    assert {route for _, route in labels} <= known | {"unmatched"}
    assert {method for method, _ in labels} <= {"GET", "OTHER"}
    assert len(text.splitlines()) < 200


def test_it_is_ready_when_ledger_and_store_answer(home: Home) -> None:
    assert home.client.get("/ready").json() == {"status": "ok"}
    diary = Diary(home.parts.ledger, home.parts.store)
    diary.refuse("empty.wav")
    objects = home.parts.settings.object_dir
    objects.rename(objects.with_name("elsewhere"))
    answer = ready_now(home)
    assert (answer.status_code, answer.json()["error"]) == (503, "not_ready")
    assert "object store" in answer.json()["message"]
    assert int(answer.headers["retry-after"]) > 0
    assert home.client.get("/health").status_code == 200


def test_a_ledger_that_is_away_is_503_and_never_500(home: Home) -> None:
    home.parts.ledger.close()
    file = home.parts.settings.home / "ledger.sqlite"
    file.rename(file.with_suffix(".gone"))
    file.mkdir()
    for method, path, body in (
        ("GET", "/ready", None),
        ("GET", "/jobs", None),
        ("GET", f"/jobs/{'0' * 32}", None),
        ("DELETE", f"/jobs/{'0' * 32}", None),
        ("POST", "/jobs", {"audio_url": "https://a.example/x.m4a"}),
        ("POST", "/jobs/batch", {"jobs": [{"audio_url": "https://a.example/x.m4a"}]}),
        ("GET", "/quarantine", None),
        ("DELETE", "/users/me", None),
    ):
        answer = home.client.request(method, path, json=body)
        assert (answer.status_code, method, path) == (503, method, path)
        assert int(answer.headers["retry-after"]) > 0
        assert str(home.parts.settings.home) not in answer.text
    assert "diary_ledger_up 0.0" in metrics(home)
    assert home.client.get("/health").status_code == 200


def test_a_ledger_that_takes_no_writes_is_not_ready_and_keeps_nobody_waiting(tmp_path: Path) -> None:
    with served_home(tmp_path, {"DIARY_RATE_LIMITS": "none"}) as home:
        assert home.client.get("/ready").status_code == 200
        began = time.monotonic()
        with contextlib.closing(sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with ThreadPoolExecutor(2) as pool:
                ready = pool.submit(ready_now, home)
                opened = pool.submit(home.client.post, "/jobs", json={"audio_url": "https://a.example/x.m4a"})
                told = [ready.result(), opened.result()]
        assert [(answer.status_code, answer.json()["error"]) for answer in told] == [
            (503, "not_ready"),
            (503, "ledger_away"),
        ]
        assert all(int(answer.headers["retry-after"]) > 0 for answer in told)
        assert time.monotonic() - began < 2 * GIVE_UP_S
        assert ready_now(home).status_code == 200


def test_only_one_of_those_who_ask_whether_it_is_ready_waits_for_a_ledger_that_is_held(home: Home) -> None:
    tries = 0

    def held() -> None:
        nonlocal tries
        tries += 1
        if tries == 2:
            trying.set()
            assert let_go.wait(30)
            raise ServiceMissing("ledger_away", "Somebody holds it.")

    trying, let_go = threading.Event(), threading.Event()
    probe = Probe("ledger", held, believed_s=0.0)
    home.app.state.probes = {"ledger": probe}
    assert home.client.get("/ready").status_code == 200
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(home.client.get, "/ready")
        assert trying.wait(30)
        others = [home.client.get("/ready").status_code for _ in range(3)]
        let_go.set()
        assert (others, first.result().status_code) == ([200] * 3, 503), "they are told the last answer"
    probe.believed_s = 60.0
    again = [ready.status_code for ready in (home.client.get("/ready"), home.client.get("/ready"))]
    assert (again, tries) == ([200, 200], 3)


def test_that_a_ledger_does_not_answer_is_believed_as_long_as_that_it_does() -> None:
    tries = []

    def away() -> None:
        tries.append(1)
        raise ServiceMissing("ledger_away", "Nobody is there.")

    probe = Probe("ledger", away, believed_s=60.0)
    assert ([probe.is_good() for _ in range(3)], len(tries)) == ([False] * 3, 1)


def test_a_ledger_whose_file_cannot_grow_is_not_ready(home: Home) -> None:
    most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, most[1]))  # as a full disk does
    try:
        answer = home.client.get("/ready")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, most)
    assert (answer.status_code, answer.json()["error"]) == (503, "not_ready")
    assert "ledger" in answer.json()["message"]
    assert ready_now(home).status_code == 200


def test_the_request_id_is_echoed_where_it_is_a_word(home: Home) -> None:
    mine = home.client.get("/jobs/none", headers={"X-Request-ID": "abc-1.2_3"})
    assert mine.headers["x-request-id"] == mine.json()["request_id"] == "abc-1.2_3"
    for odd in ("x" * 65, "a b", "a;b", ""):
        assert re.fullmatch(
            r"[0-9a-f]{32}", home.client.get("/health", headers={"X-Request-ID": odd}).headers["x-request-id"]
        )


def test_a_line_of_the_log_names_the_route_and_no_id(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    home.client.get("/jobs/5f0c?words=a-secret-of-mine")
    home.client.get("/search?q=a-secret-of-mine")
    lines = [record.getMessage() for record in caplog.records if "answered" in record.getMessage()]
    assert any("route=/jobs/{job_id}" in line for line in lines)
    assert not any("5f0c" in line or "secret" in line for line in lines)


def test_a_defect_of_ours_is_a_problem_without_its_words(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    @home.app.get("/broken")
    def broken() -> None:
        raise RuntimeError("a secret of mine")

    answer = home.client.get("/broken")
    assert (answer.status_code, answer.json()["error"]) == (500, "internal_error")
    assert "secret" not in answer.text
    assert any(answer.json()["request_id"] in record.getMessage() for record in caplog.records)
    assert not any("secret" in record.getMessage() for record in caplog.records)


def test_documents_are_hidden_in_production(tmp_path: Path) -> None:
    with served_home(tmp_path / "open", {}) as home:
        assert home.client.get("/docs").status_code == 200
        assert home.client.get("/openapi.json").json()["openapi"].startswith("3.1")
    with served_home(tmp_path / "closed", {"DIARY_PRODUCTION": "true"}) as home:
        assert home.client.get("/docs").status_code == 404
        assert home.client.get("/openapi.json").status_code == 404
