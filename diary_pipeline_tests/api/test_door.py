"""Keys at the door: who gets in, what they may do, and that nothing of the body is read before."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from diary_pipeline.api.auth import auth_mode
from diary_pipeline.api.keys import FRESH_S, KeyRing
from diary_pipeline.core.errors import UsageError
from diary_pipeline.ledger import api_keys
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline_tests.api.served_home import Home, served_home
from diary_pipeline_tests.api.serving import served
from diary_pipeline_tests.servers import redis_server

SUBMISSION = {"audio_url": "https://audio.example/a.mp3"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    said = {"DIARY_API_AUTH": "keys", "DIARY_RATE_LIMITS": "none"}
    with served_home(tmp_path_factory.mktemp("door"), said) as home:
        yield home


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({}, "key_missing"),
        ({"Authorization": ""}, "key_invalid"),
        ({"Authorization": "Bearer"}, "key_invalid"),
        ({"Authorization": "Basic YWRhOnB3"}, "key_invalid"),
        ({"Authorization": f"Bearer dk_{'0' * 12}_{'0' * 64}"}, "key_invalid"),
        ({"Authorization": "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ."}, "key_invalid"),
        ({"Authorization": "Bearer " + "x" * 5000}, "key_invalid"),
        ({"X-API-Key": "' OR 1=1 --"}, "key_invalid"),
    ],
)
def test_who_shows_no_good_key_is_not_let_in(home: Home, said: dict[str, str], code: str) -> None:
    for path in ("/jobs", "/jobs/1", "/no-such-address"):
        answer = home.client.get(path, headers=said)
        assert (answer.status_code, answer.json()["error"]) == (401, code), path
        assert answer.headers["www-authenticate"].startswith('Bearer realm="diary"')


def test_keys_that_are_over_are_not_let_in(home: Home) -> None:
    good, expired, revoked = home.key("ada"), home.key("ada", expires_s=-1), home.key("ada")
    api_keys.revoke(home.parts.ledger, revoked["Authorization"].split("_")[1])
    assert home.client.get("/jobs", headers=good).status_code == 200
    assert home.client.get("/jobs", headers=expired).json()["error"] == "key_expired"
    assert home.client.get("/jobs", headers=revoked).json()["error"] == "key_revoked"
    other = good["Authorization"][:-1] + ("0" if good["Authorization"][-1] != "0" else "1")
    assert home.client.get("/jobs", headers={"Authorization": other}).json()["error"] == "key_invalid"


def test_a_key_is_shown_in_either_header_and_its_own_goes_first(home: Home) -> None:
    good = home.key("ada")["Authorization"].removeprefix("Bearer ")
    assert home.client.get("/jobs", headers={"X-API-Key": good}).status_code == 200
    assert home.client.get("/jobs", headers={"Authorization": f"bearer {good}"}).status_code == 200
    assert home.client.get("/jobs", headers={"Authorization": "Basic x", "X-API-Key": good}).status_code == 200
    assert home.client.get("/jobs", headers={"Authorization": f"Bearer {good}", "X-API-Key": "x"}).status_code == 401


def test_what_tells_nothing_of_anybody_needs_no_key(home: Home) -> None:
    for path in ("/health", "/ready", "/metrics", "/docs", "/openapi.json"):
        assert home.client.get(path).status_code == 200, path


def test_the_owner_of_a_key_wins_over_the_body(home: Home) -> None:
    made = home.client.post("/jobs", json={**SUBMISSION, "user_id": "ben"}, headers=home.key("ada"))
    assert made.status_code == 202, made.text
    everybody = home.key(scopes="read")
    assert home.client.get(f"/jobs/{made.json()['job_id']}", headers=everybody).json()["user_id"] == "ada"
    for_all = home.client.post("/jobs", json={**SUBMISSION, "user_id": "ben"}, headers=home.key(scopes="submit"))
    assert home.client.get(f"/jobs/{for_all.json()['job_id']}", headers=everybody).json()["user_id"] == "ben"


def test_a_stranger_is_refused_before_the_body_is_read(home: Home) -> None:
    read_only = home.key("ada", "read")["Authorization"]
    with served(home.app) as address:
        port = int(address.rpartition(":")[2])
        for shown, status in (("X-Nothing: 1", b"401"), (f"Authorization: {read_only}", b"403")):
            with socket.create_connection(("127.0.0.1", port), 20) as connection:
                said = (
                    "POST /jobs HTTP/1.1",
                    "Host: localhost",
                    shown,
                    "Content-Type: multipart/form-data; boundary=x",
                )
                connection.sendall("\r\n".join([*said, "Content-Length: 400000000", "", ""]).encode())
                assert connection.recv(65_536).split()[1] == status, "with no byte of the body sent"


def test_a_key_is_looked_up_once_and_a_revocation_bites_within_seconds(tmp_path: Path) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    id, text = api_keys.create(ledger, name="n", scopes=["read"])
    clock = [0.0]

    async def story() -> None:
        ring = KeyRing(ledger, lambda: clock[0])
        assert not ring.knows(text)
        assert (found := await ring.find(text))
        assert ring.knows(text)
        await asyncio.gather(*ring._noting)  # the use is written beside the request
        api_keys.revoke(ledger, id)
        assert await ring.find(text) is found, "believed for some seconds"
        assert await ring.find(text[:-1] + ("0" if text[-1] != "0" else "1")) is None
        clock[0] += FRESH_S
        assert (found := await ring.find(text))
        assert found.state == "revoked"

    asyncio.run(story())
    with ledger.reading() as conn:
        [key] = api_keys.all_keys(conn)
    assert key.last_used_at is not None, "which was written down beside the request"
    ledger.close()


def test_who_guesses_keys_is_slowed_down_and_locks_nobody_out(tmp_path: Path) -> None:
    said = {"DIARY_API_AUTH": "keys", "DIARY_RATE_LIMITS": "5/hour", "DIARY_RATE_TIERS": "gold=100/hour"}
    with served_home(tmp_path / "home", said) as home:
        good = home.key("ada", tier="gold")
        assert home.client.get("/jobs", headers=good).status_code == 200
        guesses = [
            home.client.get("/jobs", headers={"X-API-Key": f"dk_{n:012x}_{'0' * 64}"}).status_code for n in range(8)
        ]
        assert guesses == [401] * 5 + [429] * 3
        assert home.client.get("/jobs").status_code == 429
        assert home.client.get("/jobs", headers=good).status_code == 200
        assert home.client.get("/health").status_code == 200


def test_limits_are_told_and_kept(tmp_path: Path) -> None:
    said = {"DIARY_API_AUTH": "keys", "DIARY_RATE_LIMITS": "4/hour"}
    with served_home(tmp_path / "home", said) as home:
        ada, ben = home.key("ada"), home.key("ben")
        answer = home.client.get("/jobs", headers=ada)
        assert (answer.headers["ratelimit-limit"], answer.headers["ratelimit-remaining"]) == ("4", "3")
        assert answer.headers["ratelimit-policy"] == "4;w=3600"
        same_owner = home.key("ada")
        assert [home.client.get("/jobs", headers=same_owner).status_code for _ in range(4)] == [200, 200, 200, 429]
        refused = home.client.get("/jobs", headers=ada)
        assert refused.json()["error"] == "rate_limited"
        assert int(refused.headers["retry-after"]) >= 1
        assert home.client.get("/jobs", headers=ben).status_code == 429, "from the same address"
        for _ in range(9):
            assert "ratelimit-limit" not in home.client.get("/health").headers


def test_two_replicas_share_one_count_until_redis_dies(tmp_path: Path) -> None:
    with redis_server() as redis:
        said = {"DIARY_API_AUTH": "keys", "DIARY_RATE_LIMITS": "4/hour", "DIARY_REDIS_URL": redis.url}
        with served_home(tmp_path / "home", said) as one, served_home(tmp_path / "home", said) as other:
            key = one.key("ada")
            asked = [replica.client.get("/jobs", headers=key).status_code for replica in (one, other) * 3]
            assert asked == [200] * 4 + [429] * 2
            redis.kill()
            alone = [one.client.post("/jobs", json=SUBMISSION, headers=key).status_code for _ in range(6)]
            assert alone == [202] * 4 + [429] * 2, "what opens jobs is limited without Redis too"


def test_a_large_batch_counts_for_more_than_one_request(tmp_path: Path) -> None:
    with served_home(tmp_path / "home", {"DIARY_RATE_LIMITS": "3/hour"}) as home:
        jobs = [SUBMISSION] * 101
        first = home.client.post("/jobs/batch", json={"jobs": jobs})
        assert first.status_code == 202
        assert home.client.get("/jobs").status_code == 429


def test_a_ledger_that_is_away_is_503(tmp_path: Path) -> None:
    with served_home(tmp_path / "home", {"DIARY_API_AUTH": "keys"}) as home:
        key = home.key("ada")
        home.parts.ledger.close()
        file = tmp_path / "home" / "ledger.sqlite"
        for beside in tmp_path.glob("home/ledger.sqlite*"):
            beside.unlink()
        file.mkdir()
        answer = home.client.get("/jobs", headers=key)
        assert (answer.status_code, answer.json()["error"]) == (503, "ledger_away")
        assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    ("target", "headers", "status", "code"),
    [
        ("/jobs?cursor=" + "x" * 9000, {}, 414, "address_too_long"),
        ("/jobs", {"X-Long": "x" * 33_000}, 431, "headers_too_large"),
    ],
)
def test_what_is_out_of_all_measure_is_refused(
    home: Home, target: str, headers: dict[str, str], status: int, code: str
) -> None:
    answer = home.client.get(target, headers={**home.key("ada"), **headers})
    assert (answer.status_code, answer.json()["error"]) == (status, code)


@pytest.mark.parametrize(
    ("said", "host", "proxies", "mode"),
    [
        ("auto", "127.0.0.1", (), "off"),
        ("auto", "localhost", (), "off"),
        ("auto", "::1", (), "off"),
        ("auto", "127.0.0.1", ("10.0.0.0/8",), "keys"),
        ("auto", "0.0.0.0", (), "keys"),  # noqa: S104
        ("auto", "::", (), "keys"),
        ("auto", "192.168.1.5", (), "keys"),
        ("auto", "diary.example", (), "keys"),
        ("keys", "127.0.0.1", (), "keys"),
        ("off", "127.0.0.1", (), "off"),
        ("off", "0.0.0.0", (), None),  # noqa: S104
        ("off", "diary.example", (), None),
    ],
)
def test_keys_may_be_left_out_on_loopback_alone(said: str, host: str, proxies: tuple[str, ...], mode: str) -> None:
    if mode:
        assert auth_mode(said, host, proxies) == mode  # type: ignore[arg-type]
        return
    with pytest.raises(UsageError, match="diary keys create") as refused:
        auth_mode(said, host, proxies)  # type: ignore[arg-type]
    assert refused.value.code == "auth_off_beyond_loopback"
