"""Uploads by every way in while replicas of the API, daemons, runs and the queue are killed, and the books of it.

A deployment on PostgreSQL: two `diary api`, two daemons and the code server in which their ticks take uploads in; only
the ears are scripted. While uploads are sent, somebody is killed at random moments and started again. Then there is
peace until all has ended, and the books are read from the ledger. With a queue every tenth upload still goes to the
API, so that killing it means something.

What surprises: each kill hits whatever a part does at that moment, its start included; on two cores a daemon that is
killed every few seconds does nothing but start, so `--kills` should leave each some ten seconds.
"""

import argparse
import functools
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.ways_in_books import Books, balance, is_drained
from benchmarks.ways_in_queues import way
from benchmarks.ways_in_senders import Sent, by_api, send_all
from diary_pipeline.observability.logs import configure_logging
from diary_pipeline.wiring.deployment import Wiring
from diary_pipeline_tests.queue_kills import sounds
from diary_pipeline_tests.servers import free_port, postgres_server
from diary_pipeline_tests.stack.stack import Stack, await_port

KINDS = ("none", "redis", "pubsub")
REPLICAS = ("api-1", "api-2")
DAEMONS = ("daemon-1", "daemon-2")
LOCATION = "diary_pipeline_tests.stack.scripted_location"
"""Not imported here: it makes the whole code location."""
POLL_S = 2.0
COLUMNS = "accepted, unsure, unsure_taken, completed, failed, pending, made_twice, left_over"
Kill = Callable[[], None]


def main(arguments: Sequence[str] = ()) -> None:
    """Send, kill, wait, and print the books of each queue."""
    asked = _asked(arguments)
    configure_logging("error", False)
    print(f"| queue | uploads | {COLUMNS.replace(', ', ' | ')} | killed | faults | s |")
    print("| --- " * (len(COLUMNS.split(", ")) + 5) + "|")
    for kind in asked.queue:
        began = time.monotonic()
        books, killed = trial(kind, asked.uploads, asked.seconds, asked.kills, asked.patience)
        figures = " | ".join(str(getattr(books, name)) for name in COLUMNS.split(", "))
        dead = ", ".join(f"{n} {name}" for name, n in sorted(killed.items()))
        faults = "; ".join((*books.faults, *(f"{n} {code}" for code, n in books.codes.items()))) or "none"
        took_s = time.monotonic() - began
        print(f"| {kind} | {asked.uploads} | {figures} | {dead} | {faults} | {took_s:.0f} |", flush=True)


def trial(kind: str, n: int, within_s: float, kills: int, patience_s: float) -> tuple[Books, Counter[str]]:
    """Send so many uploads within about so many seconds, with so many kills in them, and balance the books."""
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="diary-ways-")))
        uploads = [Sent(path) for path in sounds(folder / "sounds", n)]
        urls = [f"http://127.0.0.1:{free_port()}" for _ in REPLICAS]
        send, kill_queue, said = way(kind, folder, by_api(urls), held)
        server = held.enter_context(postgres_server({"max_connections": "200"}))
        stack = Stack(
            folder / "home",
            LOCATION,
            DIARY_LEDGER_URL=server.lasting("ledger"),
            DIARY_DAGSTER_URL=server.lasting("dagster"),
            DIARY_RATE_LIMITS="none",
            DIARY_LEASE_S="15",
            HEARD_FILE=str(folder / "heard"),
            **said,
        )
        held.callback(stack.kill)
        killers = _start(stack, urls)
        if kill_queue:
            killers["queue"] = kill_queue
        over = threading.Event()
        killed: Counter[str] = Counter()
        killer = threading.Thread(target=_kill_some, args=(killers, kills, within_s, over, killed))
        killer.start()
        try:
            send_all(uploads, send, within_s)
        finally:
            over.set()
            killer.join()
        return _settled(Wiring(stack.settings), uploads, patience_s), killed


def _settled(wiring: Wiring, uploads: Sequence[Sent], patience_s: float) -> Books:
    """Wait until all has ended, but no longer than that, and balance."""
    until = time.monotonic() + patience_s
    accepted = sum(sent.state == "accepted" for sent in uploads)
    while not is_drained(wiring, accepted) and time.monotonic() < until:
        time.sleep(POLL_S)
    return balance(wiring, uploads)


def _start(stack: Stack, urls: Sequence[str]) -> dict[str, Kill]:
    """Start a deployment, and say how each of its parts is killed and started again."""
    stack.serve_code_apart(LOCATION)
    commands = {
        **{
            name: ("diary_pipeline.cli.main", "api", "--all", "--port", url.rpartition(":")[2])
            for name, url in zip(REPLICAS, urls, strict=True)
        },
        **{name: ("dagster._daemon", "run", "-w", str(stack.workspace)) for name in DAEMONS},
    }
    for name, command in commands.items():
        stack.launch(name, *command)
    for url in urls:
        await_port(int(url.rpartition(":")[2]))

    def again(name: str) -> None:
        stack.kill(name)
        stack.launch(name, *commands[name])

    def code_again() -> None:
        stack.kill("code")
        stack.serve_code_apart(LOCATION, wait=False)  # others are killed while it starts

    parts: dict[str, Kill] = {name: functools.partial(again, name) for name in commands}
    return {**parts, "code server": code_again, "run": functools.partial(stack.kill_children, "code")}


def _kill_some(
    killers: Mapping[str, Kill], kills: int, within_s: float, over: threading.Event, killed: Counter[str]
) -> None:
    chance = random.Random(7)
    names: list[str] = []
    for _ in range(kills):
        if over.wait(chance.uniform(0, 2 * within_s / kills)):
            return
        names = names or chance.sample(sorted(killers), len(killers))
        name = names.pop()
        killers[name]()
        killed[name.partition("-")[0]] += 1


def _asked(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ways_in_kills", description=main.__doc__)
    parser.add_argument("--uploads", type=int, default=5000)
    parser.add_argument("--queue", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--seconds", type=float, default=300.0, help="over which uploads and kills are spread")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument(
        "--patience", type=float, default=1800.0, help="seconds after which the rest is told as pending"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
