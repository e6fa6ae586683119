"""Real servers that a test session starts for itself, and stops. No test talks to a server it did not start.

What surprises: PostgreSQL refuses to run as root, so under root it runs as the system user `postgres`.
"""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn

import pytest
import sqlalchemy as sa

# A test's server may lose everything: fsync off is what makes a hundred databases affordable.
POSTGRES_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "100",
    "deadlock_timeout": "200ms",
    "autovacuum": "off",
}


def missing_server(reason: str) -> NoReturn:
    """Skip the test, or fail it where DIARY_REQUIRE_SERVERS=1 says that servers must be there."""
    if os.environ.get("DIARY_REQUIRE_SERVERS") == "1":
        pytest.fail(f"DIARY_REQUIRE_SERVERS=1, but {reason}")
    pytest.skip(reason)


@dataclass(frozen=True)
class Postgres:
    """A running server; its databases come and go by the test."""

    host: str
    port: int

    def url(self, database: str) -> str:
        """Return the URL of a database, over TCP on loopback."""
        return f"postgresql://diary@{self.host}:{self.port}/{database}"

    @contextmanager
    def database(self, like: str = "template1") -> Iterator[str]:
        """Give the URL of a new database, a copy of one that nobody is connected to; by default an empty one."""
        name = f"t_{uuid.uuid4().hex}"
        self._run(f"CREATE DATABASE {name} TEMPLATE {like}")
        try:
            yield self.url(name)
        finally:
            self._run(f"DROP DATABASE {name} WITH (FORCE)")

    def lasting(self, name: str) -> str:
        """Make an empty database that goes with the server, and return its URL."""
        self._run(f"CREATE DATABASE {name}")
        return self.url(name)

    def _run(self, statement: str) -> None:
        engine = sa.create_engine(self.url("postgres").replace("postgresql://", "postgresql+psycopg2://"))
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            conn.exec_driver_sql(statement)
        engine.dispose()


@contextmanager
def postgres_server(changed: Mapping[str, str] = MappingProxyType({})) -> Iterator[Postgres]:
    """Start a PostgreSQL server of this session's own on a free port; skip where none is installed."""
    initdb, pg_ctl = program("initdb"), program("pg_ctl")
    if initdb is None or pg_ctl is None:
        missing_server("no PostgreSQL server (initdb, pg_ctl) is installed")
    try:
        import psycopg2  # noqa: F401
    except ModuleNotFoundError:
        missing_server("the Python package psycopg2 is not installed")
    folder = Path(tempfile.mkdtemp(prefix="diary-pg-"))
    try:
        as_user = _as_server_user(folder)
        data, log = folder / "data", folder / "log"
        _check([*as_user, initdb, "-D", data, "-U", "diary", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"])
        port = free_port()
        settings = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": folder}
        said = "\n".join(f"{name} = '{value}'" for name, value in {**settings, **POSTGRES_SETTINGS, **changed}.items())
        with (data / "postgresql.conf").open("a") as conf:
            conf.write(said + "\n")
        _check([*as_user, pg_ctl, "-D", data, "-l", log, "-w", "-t", "60", "start"])
        try:
            yield Postgres("127.0.0.1", port)
        finally:
            _check([*as_user, pg_ctl, "-D", data, "-m", "immediate", "-w", "stop"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def program(name: str) -> Path | None:
    """Return one of PostgreSQL's programs, of the newest version that is installed."""
    newest_first = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    on_path = shutil.which(name)
    return newest_first[0] if newest_first else Path(on_path) if on_path else None


def _as_server_user(folder: Path) -> list[str]:
    if os.getuid() != 0:
        return []
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        missing_server("we are root and there is no user `postgres` to run the server as")
    os.chown(folder, user.pw_uid, user.pw_gid)
    if shutil.which("setpriv"):
        return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--"]
    if shutil.which("runuser"):
        return ["runuser", "-u", "postgres", "--"]
    missing_server("we are root and neither setpriv nor runuser is there to become `postgres`")


def _check(command: list[str | Path]) -> None:
    # Not capture_output: the server would inherit the pipe and the call would wait for its end.
    with tempfile.TemporaryFile() as said:
        done = subprocess.run(
            command, cwd="/", stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT, check=False
        )
        if done.returncode:
            said.seek(0)
            missing_server(f"PostgreSQL did not start: {said.read().decode(errors='replace')[-500:]}")


@dataclass
class Redis:
    """A running server whose every write is on disk before it is answered, so that a killed one comes back whole."""

    program: str
    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return the URL of its first database, over TCP on loopback."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, or start it again on the same port with what it had written; return once it answers."""
        import redis
        from redis.backoff import ConstantBackoff
        from redis.retry import Retry

        settings: dict[str, object] = {
            "bind": "127.0.0.1",
            "port": self.port,
            "dir": self.folder,
            "save": "",
            "appendonly": "yes",
            "appendfsync": "always",
            "maxmemory": "64mb",
            "maxmemory-policy": "noeviction",
        }
        said = [str(part) for name, value in settings.items() for part in (f"--{name}", value)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.program, *said], cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        with redis.Redis(port=self.port, retry=Retry(ConstantBackoff(0.02), 1000)) as client:
            client.ping()

    def kill(self) -> None:
        """Kill it as a machine that loses power would; `start` brings it back."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextmanager
def redis_server() -> Iterator[Redis]:
    """Start a Redis server of this session's own on a free port; skip where none is installed."""
    installed = shutil.which("redis-server")
    if installed is None:
        missing_server("no Redis server (redis-server) is installed")
    try:
        import redis  # noqa: F401
    except ModuleNotFoundError:
        missing_server("the Python package redis is not installed")
    folder = Path(tempfile.mkdtemp(prefix="diary-redis-"))
    server = Redis(installed, folder, free_port())
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """Return a port of loopback that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
