"""Who may ask Dagster's webserver for something: its own pages and programs, not the pages of other sites."""

from collections.abc import Mapping

import pytest
from dagster._cli import dev
from dagster_webserver import app
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from diary_pipeline.instance.own_pages import OwnPagesOnly

HOST = "127.0.0.1:3000"
JSON = {"content-type": "application/json"}
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


def test_what_is_replaced_in_dagster_is_what_dagster_starts() -> None:
    """`dagster dev` starts its webserver by this module's name, and the webserver its class by this one's."""
    assert "dagster_webserver" in dev.dev_command_impl.__code__.co_consts
    assert "open_ipc_subprocess" in dev.dev_command_impl.__code__.co_names
    assert "DagsterWebserver" in app.create_app_from_workspace_process_context.__code__.co_names
