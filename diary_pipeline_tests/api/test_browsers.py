"""What a web page in somebody's browser may do: with no keys on loopback, and across origins."""

import re
from collections.abc import Iterator

import pytest

from diary_pipeline.api.browsers import SENT, SHOWN
from diary_pipeline_tests.api.served_home import Home, served_home

SUBMISSION = {"audio_url": "https://audio.example/a.mp3"}
APP = "https://app.example"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Without keys, on loopback, with one web application that may ask."""
    with served_home(tmp_path_factory.mktemp("open"), {"DIARY_RATE_LIMITS": "none", "DIARY_API_ORIGINS": APP}) as home:
        yield home


@pytest.mark.parametrize(
    ("method", "headers", "status", "why"),
    [
        ("POST", {}, 202, "curl"),
        ("POST", {"Host": "127.0.0.1:8000"}, 202, "by number"),
        ("POST", {"Host": "[::1]:8000"}, 202, "version 6"),
        ("POST", {"Host": "evil.example"}, 403, "DNS rebinding"),
        ("GET", {"Host": "evil.example"}, 403, "DNS rebinding reads, too"),
        ("GET", {"Host": "localhost.evil.example"}, 403, "a name that begins like ours"),
        ("GET", {"Host": ""}, 403, "no name at all"),
        ("POST", {"Origin": "https://evil.example"}, 403, "a page of another site"),
        ("POST", {"Origin": "null"}, 403, "a page that hides its origin"),
        ("POST", {"Origin": "http://localhost:3000"}, 403, "another server on this machine"),
        ("POST", {"Origin": "http://localhost"}, 202, "our own /docs"),
        ("POST", {"Sec-Fetch-Site": "cross-site"}, 403, "a form of another site, Origin or not"),
        ("POST", {"Sec-Fetch-Site": "same-site"}, 403, "another port of localhost"),
        ("POST", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 403, "a form that navigates"),
        ("POST", {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}, 202, "our own /docs"),
        ("POST", {"Sec-Fetch-Site": "none"}, 202, "the user themselves"),
        ("GET", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403, "an image of another site"),
        ("GET", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200, "a link that was followed"),
        ("DELETE", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}, 403, "erasing from elsewhere"),
        ("POST", {"Origin": APP, "Sec-Fetch-Site": "cross-site"}, 202, "the application that is named"),
        ("POST", {"X-Forwarded-For": "203.0.113.9"}, 403, "through a proxy that makes all the world loopback"),
        ("GET", {"Via": "1.1 proxy"}, 403, "so does any"),
    ],
)
def test_without_keys_only_this_machine_s_own_requests_are_taken(
    home: Home, method: str, headers: dict[str, str], status: int, why: str
) -> None:
    path = "/jobs/0123" if method == "DELETE" else "/jobs"
    answer = home.client.request(method, path, json=SUBMISSION if method == "POST" else None, headers=headers)
    assert answer.status_code == status, (why, answer.text)
    if status == 403:
        assert answer.json()["error"] in ("host_refused", "origin_refused", "proxy_without_keys")


def test_no_kind_of_form_that_a_page_can_send_unasked_is_read(home: Home) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        answer = home.client.post("/jobs", content=b"{}", headers={"Content-Type": kind})
        assert answer.status_code == 415


def test_host_names_may_be_named(home: Home) -> None:
    folder = home.parts.settings.home.parent / "named"
    with served_home(folder, {"DIARY_API_AUTH": "keys", "DIARY_API_HOSTS": "diary.example"}) as named:
        key = named.key("ada")
        asked = {host: named.client.get("/jobs", headers={**key, "Host": host}) for host in ("diary.example:443", "x")}
    assert [answer.status_code for answer in asked.values()] == [200, 403]


PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization, tus-resumable"}


def test_a_page_that_is_named_may_ask(home: Home) -> None:
    asked = home.client.options("/jobs", headers={"Origin": APP, **PREFLIGHT})
    assert asked.status_code == 200
    assert asked.headers["access-control-allow-origin"] == APP
    assert "access-control-allow-credentials" not in asked.headers
    answer = home.client.get("/jobs", headers={"Origin": APP})
    assert answer.headers["access-control-allow-origin"] == APP
    assert "Retry-After" in answer.headers["access-control-expose-headers"]


def test_no_other_page_may_ask(home: Home) -> None:
    asked = home.client.options("/jobs", headers={"Origin": "https://evil.example", **PREFLIGHT})
    assert asked.status_code == 400
    assert "access-control-allow-origin" not in asked.headers
    folder = home.parts.settings.home.parent / "closed"
    with served_home(folder, {"DIARY_API_AUTH": "keys"}) as closed:
        answer = closed.client.get("/jobs", headers={**closed.key("ada"), "Origin": APP})
        assert "access-control-allow-origin" not in answer.headers
        assert (
            "access-control-allow-origin"
            not in closed.client.options("/jobs", headers={"Origin": APP, **PREFLIGHT}).headers
        )


def test_every_answer_has_the_headers_that_keep_browsers_in_bounds(home: Home) -> None:
    answers = [
        home.client.get("/jobs"),
        home.client.get("/health"),
        home.client.get("/nothing"),
        home.client.get("/jobs", headers={"Host": "evil.example"}),
        home.client.post("/jobs", content=b"x"),
        home.client.options("/jobs", headers={"Origin": "https://evil.example", **PREFLIGHT}),
        home.client.get("/docs"),
    ]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "server" not in answer.headers
    assert [answer.headers["content-security-policy"] for answer in answers[:-1]] == [
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ] * 6


def test_the_page_of_the_documentation_loads_nothing_from_elsewhere(home: Home) -> None:
    page = home.client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "script-src 'self';" in page.headers["content-security-policy"]
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(loaded) == 4
    for path in loaded:
        assert home.client.get(f"/{path}").status_code == 200, path
    assert "http" not in page.text
    assert "SwaggerUIBundle" in home.client.get("/docs/swagger-ui-bundle.js").text
    assert "<script>" not in page.text, "the policy lets no script run that stands in the page"


def test_a_page_may_send_and_read_every_header_that_the_routes_declare(home: Home) -> None:
    operations = [one for path in home.client.get("/openapi.json").json()["paths"].values() for one in path.values()]
    declared = {p["name"].lower() for one in operations for p in one.get("parameters", []) if p["in"] == "header"}
    assert declared >= {"if-match", "idempotency-key", "upload-length"}
    sent = {name.lower() for name in SENT}
    assert (declared - sent, {"x-diary-callback-url"} <= sent, "upload-defer-length" in sent) == (set(), True, False)
    assert {"ETag", "Upload-Expires", "Idempotent-Replayed", "X-Job-Id"} <= set(SHOWN)
