"""The product as its operator starts it: webserver, daemon and code location as processes over one DIARY_HOME."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from diary_pipeline.cli.home import dagster_environment, prepare_home
from diary_pipeline.settings import load_settings

CHECKOUT = Path(__file__).parents[2]
GRAPHQL = CHECKOUT / "docs" / "graphql.md"
START_S = 120.0


def documented_operation(name: str) -> str:
    """Return a GraphQL operation as docs/graphql.md prints it, so that what people paste is what is tested."""
    found = re.search(
        rf"```graphql\n((?:query|mutation) {name}\b.*?)```", GRAPHQL.read_text(encoding="utf-8"), re.DOTALL
    )
    assert found, f"docs/graphql.md has no GraphQL operation {name}"
    return found[1]


def documented_curl() -> list[str]:
    """Return the words of the curl line."""
    found = re.search(r"^\$ (curl .*)$", GRAPHQL.read_text(encoding="utf-8"), re.MULTILINE)
    assert found, "docs/graphql.md shows no curl line"
    return shlex.split(found[1])


def documented_client() -> type[Any]:
    """Return the class `Dagster` of the page, with the operations that the page says are its constants."""
    text = GRAPHQL.read_text(encoding="utf-8")
    [code] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names = {"LAUNCH": "Launch", "RUN_STATUS": "RunStatus", "INGESTED": "Ingested", "NOTE": "Note", "CHECK": "Check"}
    there = {constant: documented_operation(name) for constant, name in {**names, "BACKFILL": "Backfill"}.items()}
    exec(code, there)  # noqa: S102 - our own page
    return there["Dagster"]  # type: ignore[return-value]


def until(what: str, ask: Callable[[], Any], within_s: float) -> Any:
    """Ask until the answer is true, and return it."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if answer := ask():
            return answer
        time.sleep(0.5)
    raise AssertionError(f"not within {within_s:.0f} s: {what}")


class Stack:
    """Starts and kills the processes; asks them over HTTP only."""

    def __init__(self, home: Path, module: str = "diary_pipeline.definitions", **environment: str) -> None:
        """Take the module of the code location; what is no setting of ours goes to the processes as it is."""
        ours = {name: value for name, value in environment.items() if name.startswith("DIARY_")}
        self.settings = load_settings({"DIARY_HOME": str(home), **ours})
        self.port = _free_port()
        prepare_home(self.settings)
        self.workspace = self.settings.dagster_home / "workspace.yaml"
        self.workspace.write_text(self.workspace.read_text().replace("diary_pipeline.definitions", module))
        findable = {"PYTHONPATH": str(CHECKOUT)}  # what is installed brings no scripted location
        self._environment = {**dagster_environment(self.settings), **findable, **environment}
        self._code_port = 0
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, daemons: int = 1) -> None:
        """Start webserver and daemons, each in a process group of its own, and wait until the location is loaded."""
        workspace = str(self.workspace)
        self.launch("webserver", "dagster_webserver", "-w", workspace, "-h", "127.0.0.1", "-p", str(self.port))
        for name in ("daemon", *(f"daemon-{n}" for n in range(2, daemons + 1))):
            self.launch(name, "dagster._daemon", "run", "-w", workspace)
        until("the code location is loaded", self._is_loaded, START_S)

    def serve_code_apart(self, module: str, *, wait: bool = True) -> None:
        """Start the code server as a process of its own, as a deployment does; webserver and daemon will ask it."""
        if not self._code_port:
            self._code_port = _free_port()
            server = {"host": "127.0.0.1", "port": self._code_port, "location_name": "diary_pipeline"}
            self.workspace.write_text(json.dumps({"load_from": [{"grpc_server": server}]}))
        where = ("-h", "127.0.0.1", "-p", str(self._code_port), "--location-name", "diary_pipeline")
        self.launch("code", "dagster", "api", "grpc", "-m", module, *where)
        if wait:
            await_port(self._code_port)

    def launch(self, name: str, *command: str) -> None:
        """Start a module as a process of this name, in a group of its own."""
        with (self.settings.dagster_home / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", *command],
                env=self._environment,
                cwd=self.settings.home,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self, *names: str) -> None:
        """Kill these, or everything at once, run processes included, as a power cut would."""
        for name in names or tuple(self._processes):
            process = self._processes.pop(name)
            _kill_tree(process.pid)
            process.wait()

    def kill_children(self, name: str) -> None:
        """Kill what a process has started and leave it alone: below the code server these are the runs."""
        for child in _children(self._processes[name].pid):
            with suppress(ProcessLookupError):
                _kill_tree(child)

    def log(self, name: str) -> str:
        """What a process said."""
        return (self.settings.dagster_home / f"{name}.log").read_text(errors="replace")

    def graphql(self, operation: str, variables: Mapping[str, Any] | None = None) -> Any:
        """POST one operation and return its data; a webserver that is not there yet answers None."""
        body = json.dumps({"query": operation, "variables": variables or {}}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql", body, {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                said = json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()[:2000]) from error
        except OSError:
            return None
        assert not said.get("errors"), said["errors"]
        return said["data"]

    def _is_loaded(self) -> bool:
        said = self.graphql(
            "{ workspaceOrError { ... on Workspace { locationEntries {"
            " name loadStatus locationOrLoadError { __typename ... on PythonError { message } } } } } }"
        )
        entries = said["workspaceOrError"].get("locationEntries", []) if said else []
        for entry in entries:
            assert (entry["locationOrLoadError"] or {}).get("__typename") != "PythonError", entry
        return bool(entries) and all(e["loadStatus"] == "LOADED" and e["locationOrLoadError"] for e in entries)


def _kill_tree(pid: int) -> None:
    """Kill a process and all that descend from it: Dagster puts run processes into sessions of their own."""
    os.kill(pid, signal.SIGSTOP)  # or it could start another child meanwhile
    for child in _children(pid):
        _kill_tree(child)
    os.kill(pid, signal.SIGKILL)


def _children(pid: int) -> list[int]:
    """Each thread has its own: the code server starts runs from several."""
    found = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for thread in found for child in thread.read_text().split()]


def await_port(port: int) -> None:
    """Wait until somebody listens there."""
    until(f"port {port} is listened on", lambda: _answers(port), START_S)


def _answers(port: int) -> bool:
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])
