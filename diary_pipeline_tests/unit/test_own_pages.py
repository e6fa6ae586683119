"""Who may ask Dagster's webserver for something: its own pages and programs, not the pages of other sites."""

from collections.abc import Iterator, Mapping

import pytest
from dagster import instance_for_test
from dagster._cli import dev
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster_webserver import app
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from diary_pipeline.instance.own_pages import OwnPagesOnly
from diary_pipeline.instance.webserver import OwnPagesWebserver

HOST = "127.0.0.1:3000"
JSON = {"content-type": "application/json"}
PAGE = {"accept": "text/html"}
OURS, ELSEWHERE = {"origin": f"http://{HOST}"}, {"origin": "https://evil.example"}


async def answer(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.method)


async def talk(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close()


@pytest.fixture(scope="module")
def client() -> TestClient:
    methods = ["GET", "POST", "OPTIONS"]
    routes = [Route("/{path:path}", answer, methods=methods), WebSocketRoute("/graphql", talk)]
    served = Starlette(routes=routes, middleware=[Middleware(OwnPagesOnly)])
    return TestClient(served, base_url=f"http://{HOST}", headers={"host": HOST})


@pytest.fixture(scope="module")
def dagster() -> Iterator[TestClient]:
    """The webserver that `diary dev` serves, in this process."""
    with pytest.MonkeyPatch.context() as patch, instance_for_test() as instance:
        patch.setenv("DIARY_UI_HOSTS", "diary.lan, diary.example")
        with WorkspaceProcessContext(instance, None) as process:
            yield TestClient(OwnPagesWebserver(process).create_asgi_app())


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("POST", "/graphql", JSON, 200),  # a program
        ("POST", "/graphql", JSON | OURS, 200),  # the UI
        ("POST", "/graphql", {"content-type": "application/graphql"}, 200),
        ("POST", "/prefix/graphql", JSON | OURS, 200),
        ("GET", "/graphql", {"accept": "text/html,*/*"}, 200),  # the GraphiQL page
        ("GET", "/", {"accept": "text/html"}, 200),
        ("GET", "/logs/abc", ELSEWHERE, 200),  # reads nothing that another site's script could see
        ("GET", "/graphql?query=mutation{x}", {"accept": "image/*"}, 403),  # an image
        ("GET", "/prefix/graphql?query=mutation{x}", {"accept": "*/*"}, 403),
        ("POST", "/graphql?query=mutation{x}", {"content-type": "application/x-www-form-urlencoded"}, 403),  # a form
        ("POST", "/graphql?query=mutation{x}", {"content-type": "text/plain"}, 403),
        ("POST", "/graphql?query=mutation{x}", {}, 403),
        ("POST", "/graphql", JSON | ELSEWHERE, 403),
        ("POST", "/graphql", JSON | {"origin": "null"}, 403),  # a sandboxed frame
        ("POST", "/graphql", JSON | {"origin": "http://127.0.0.1:8000"}, 403),  # another port is another site
        ("POST", "/report_asset_materialization/note", ELSEWHERE, 403),
        ("POST", "/graphql", JSON | {"sec-fetch-site": "same-origin"}, 200),
        ("POST", "/graphql", JSON | {"sec-fetch-site": "cross-site"}, 403),  # a browser that sends no Origin
        ("GET", "/logs/abc", {"sec-fetch-site": "same-site"}, 403),
        ("GET", "/runs/abc", PAGE | {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, 200),  # a link
    ],
)
def test_other_sites_pages_change_nothing(
    client: TestClient, method: str, path: str, headers: Mapping[str, str], status: int
) -> None:
    assert client.request(method, path, headers=headers).status_code == status


def test_live_updates_are_for_our_own_pages(client: TestClient) -> None:
    with client.websocket_connect("/graphql", headers={"host": HOST, **OURS}):
        pass
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect("/graphql", headers={"host": HOST, **ELSEWHERE}),
    ):
        pass


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:3000", 200),
        ("LOCALHOST", 200),
        ("[::1]:3000", 200),
        ("192.168.1.5:3000", 200),  # an address in figures cannot be made to point elsewhere
        ("diary.lan", 200),  # DIARY_UI_HOSTS
        ("Diary.example:443", 200),
        ("evil.example:3000", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("", 403),
    ],
)
def test_dagsters_pages_answer_to_names_that_are_known(dagster: TestClient, host: str, status: int) -> None:
    """A page whose name was made to point here says that everything is its own."""
    headers = JSON | {"host": host, "origin": f"http://{host}", "sec-fetch-site": "same-origin"}
    assert dagster.post("/graphql", headers=headers, json={"query": "{version}"}).status_code == status


def test_what_is_replaced_in_dagster_is_what_dagster_starts() -> None:
    """`dagster dev` starts its webserver by this module's name, and the webserver its class by this one's."""
    assert "dagster_webserver" in dev.dev_command_impl.__code__.co_consts
    assert "open_ipc_subprocess" in dev.dev_command_impl.__code__.co_names
    assert "DagsterWebserver" in app.create_app_from_workspace_process_context.__code__.co_names
