"""The product as its operator starts it: webserver, daemon and code location as processes over one DIARY_HOME."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from diary_pipeline.cli.home import prepare_home
from diary_pipeline.settings import load_settings

README = Path(__file__).parents[2] / "README.md"
START_S = 120.0


def readme_operation(name: str) -> str:
    """Return a GraphQL operation as the README prints it, so that what people paste is what is tested."""
    found = re.search(
        rf"```graphql\n((?:query|mutation) {name}\b.*?)```", README.read_text(encoding="utf-8"), re.DOTALL
    )
    assert found, f"README.md has no GraphQL operation {name}"
    return found[1]


def readme_curl() -> dict[str, Any]:
    """Return the body that the README's curl line posts."""
    found = re.search(r"curl [^\n]* -d '({.*})'", README.read_text(encoding="utf-8"))
    assert found, "README.md shows no curl line"
    return dict(json.loads(found[1]))


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

    def __init__(self, home: Path, **environment: str) -> None:
        said = {"DIARY_HOME": str(home), **environment}
        self.settings = load_settings(said)
        self.port = _free_port()
        prepare_home(self.settings)
        self._environment = {**os.environ, **self.settings.environment()}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Start webserver and daemon, each in a process group of its own, and wait until the location is loaded."""
        workspace = str(self.settings.dagster_home / "workspace.yaml")
        self._start("webserver", "dagster_webserver", "-w", workspace, "-h", "127.0.0.1", "-p", str(self.port))
        self._start("daemon", "dagster._daemon", "run", "-w", workspace)
        until("the code location is loaded", self._is_loaded, START_S)

    def kill(self) -> None:
        """Kill everything at once, run processes included, as a power cut would."""
        for process in self._processes.values():
            _kill_tree(process.pid)
            process.wait()
        self._processes.clear()

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

    def _start(self, name: str, *command: str) -> None:
        with (self.settings.dagster_home / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", *command],
                env=self._environment,
                cwd=self.settings.home,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )


def _kill_tree(pid: int) -> None:
    """Kill a process and all that descend from it: Dagster puts run processes into sessions of their own."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    os.kill(pid, signal.SIGSTOP)  # or it could start another child meanwhile
    for child in children.read_text().split() if children.exists() else []:
        _kill_tree(int(child))
    os.kill(pid, signal.SIGKILL)


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])
