"""Submissions a second that `diary api` accepts from 64 connections, how long each waits, and what memory that costs.

Each submission is a `POST /jobs` with the address of a recording; it is answered once its rows are synced to disk. The
other is what a user would write instead: one FastAPI route that inserts the same body into one table of a SQLite file
and commits: no key, no limit, no schema of metadata, no idempotency. Same server, same client, one after the other.

The client speaks plain HTTP/1.1 over kept connections and counts what it was answered; the rows are counted afterwards.
"""

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from fastapi import FastAPI, Request

from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.ledger.tables import submissions
from diary_pipeline_tests.servers import postgres_server

CONNECTIONS = 64
WARMING = 200
SUBMISSIONS = 5_000
SAFE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
"""A server of the tests may lose everything; this one may not."""
PLAIN = {"metadata": {"device": "phone"}, "user_id": "me"}


@dataclass
class Load:
    """What the client saw."""

    seconds: float = 0.0
    waits_s: list[float] = field(default_factory=list)
    answers: dict[int, int] = field(default_factory=dict)
    cpu_s: float = 0.0
    """Of the server's process; the one figure that a busy machine leaves alone."""
    memory_mb: list[float] = field(default_factory=list)
    """Of the server, at ten moments."""

    @property
    def accepted(self) -> int:
        """How often it was told 202."""
        return self.answers.get(202, 0)

    def row(self, what: str) -> str:
        """Write one line of the table."""
        at = statistics.quantiles(self.waits_s, n=100)
        told = " ".join(f"{status}: {n}" for status, n in sorted(self.answers.items()))
        p50, p95, p99 = (f"{at[n - 1] * 1000:.0f}" for n in (50, 95, 99))
        memory = f"{self.memory_mb[0]:.0f} -> {self.memory_mb[-1]:.0f}"
        cpu_ms = 1000 * self.cpu_s / self.accepted
        each = f"{self.accepted / self.seconds:.0f} | {cpu_ms:.1f}"
        return f"| {what} | {each} | {p50} | {p95} | {p99} | {memory} | {told} |"


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.api_load", description=__doc__)
    parser.add_argument("--submissions", type=int, default=SUBMISSIONS)
    parser.add_argument("--only", choices=("sqlite", "postgresql", "plain"), action="append")
    said = parser.parse_args([] if arguments is None else arguments)
    wanted = said.only or ["plain", "sqlite", "postgresql"]
    print("| server | accepted/s | CPU ms each | p50 ms | p95 ms | p99 ms | MB at first -> at last | answers |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        if "plain" in wanted:
            with _plain(Path(folder) / "plain.sqlite") as (pid, port):
                print(asyncio.run(_drive(pid, port, said.submissions)).row("one route, one INSERT"), flush=True)
        if "sqlite" in wanted:
            home = Path(folder) / "home"
            _ours("diary api, SQLite", home, f"sqlite:///{home / 'ledger.sqlite'}", said.submissions)
        if "postgresql" in wanted:
            with postgres_server(SAFE) as postgres, postgres.database() as url:
                _ours("diary api, PostgreSQL", Path(folder) / "other", url, said.submissions)


def _ours(what: str, home: Path, ledger_url: str, wanted: int) -> None:
    command = [sys.executable, "-m", "diary_pipeline.cli.main", "api", "--all", "--port", "0"]
    env = {**os.environ, "DIARY_HOME": str(home), "DIARY_LEDGER_URL": ledger_url}
    env |= {"DIARY_RATE_LIMITS": "none", "DIARY_LOG_LEVEL": "error"}
    with _served(command, env) as (pid, port):
        load = asyncio.run(_drive(pid, port, wanted))
    ledger = open_ledger(ledger_url)
    with ledger.reading() as conn:
        there = conn.execute(sa.select(sa.func.count()).select_from(submissions)).scalar_one()
    ledger.close()
    print(load.row(what) + ("" if there == load.accepted + WARMING else f" LOST OR DOUBLED: {there} rows"), flush=True)


@contextmanager
def _plain(file: Path) -> Iterator[tuple[int, int]]:
    with _served([sys.executable, "-m", "benchmarks.api_load", str(file)], dict(os.environ)) as served:
        yield served


@contextmanager
def _served(command: list[str], env: dict[str, str]) -> Iterator[tuple[int, int]]:
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) as started:
        assert started.stderr is not None
        line = next(line for line in started.stderr if "http://" in line)
        try:
            yield started.pid, int(line.strip().rpartition(":")[2].split()[0].strip("/"))
        finally:
            started.send_signal(signal.SIGTERM)
            started.stderr.close()


async def _drive(pid: int, port: int, wanted: int) -> Load:
    load = Load()
    await _some(port, WARMING, Load())  # the first requests load modules and open connections
    left = iter(range(wanted))
    started, cpu_s = time.perf_counter(), _cpu_s(pid)
    for _ in range(10):
        load.memory_mb.append(_memory_mb(pid))
        await _some(port, wanted // 10, load, left)
    load.seconds, load.cpu_s = time.perf_counter() - started, _cpu_s(pid) - cpu_s
    load.memory_mb.append(_memory_mb(pid))
    return load


def _cpu_s(pid: int) -> float:
    told = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2].split()
    return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")


def _memory_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


async def _some(port: int, wanted: int, load: Load, ids: Iterator[int] | None = None) -> None:
    numbers = iter(range(wanted))

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in numbers:
            n = next(ids) if ids else -1
            body = json.dumps({**PLAIN, "audio_url": f"https://recordings.example/{time.time_ns()}-{n}.m4a"}).encode()
            head = "POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            started = time.perf_counter()
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            length = next(line for line in answer.lower().split("\r\n") if line.startswith("content-length:"))
            await reader.readexactly(int(length.partition(":")[2]))
            load.waits_s.append(time.perf_counter() - started)
            status = int(answer.split()[1])
            load.answers[status] = load.answers.get(status, 0) + 1
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))


def plain_app(file: str) -> FastAPI:
    """Make the application that a user would write in ten lines."""
    engine = sa.create_engine(f"sqlite:///{file}")
    table = sa.Table("jobs", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("body", sa.JSON))
    table.metadata.create_all(engine)
    app = FastAPI()

    def insert(body: object) -> int:
        with engine.begin() as conn:
            conn.exec_driver_sql("PRAGMA busy_timeout = 60000")
            return int(conn.execute(table.insert().values(body=body).returning(table.c.id)).scalar_one())

    @app.post("/jobs", status_code=202)
    async def submit(request: Request) -> dict[str, int]:
        return {"job_id": await asyncio.to_thread(insert, await request.json())}

    return app


if __name__ == "__main__":
    if len(sys.argv) == 2 and sys.argv[1].endswith(".sqlite"):
        import socket

        import uvicorn

        bound = socket.create_server(("127.0.0.1", 0))
        print(f"http://127.0.0.1:{bound.getsockname()[1]}", file=sys.stderr, flush=True)
        uvicorn.Server(uvicorn.Config(plain_app(sys.argv[1]), log_level="error")).run(sockets=[bound])
    else:
        main(sys.argv[1:])
