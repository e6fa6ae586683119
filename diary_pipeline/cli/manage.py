"""Commands that look after a deployment: `publish`, `doctor`, `dev`."""

import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from diary_pipeline.cli.embedding import AFTER_PUBLISH_S, WHILE_WATCHING_S, Embedding, spare_threads
from diary_pipeline.cli.home import begin, dagster_environment, existing_home, prepare_home
from diary_pipeline.cli.output import Format, FormatOption, print_rows, say
from diary_pipeline.core.errors import TransientError, UsageError
from diary_pipeline.settings import Settings

if TYPE_CHECKING:
    from diary_pipeline.catalogue.publisher import Published

WATCH_S = 2.0
REST = 20
"""A watching publisher rests so many times as long as it worked, so it takes a twentieth of a processor at most."""
LONGEST_REST_S = 60.0
WATCHED_S = 180.0
"""For so long after its last word a watching publisher is believed to be there."""
FETCH_WATCH_S = 15.0  # a paid request each; publishes of a busy deployment come minutes apart


def publish(
    watch: Annotated[bool, typer.Option("--watch", help="Stay, and publish whenever something was committed.")] = False,
    compact: Annotated[
        bool, typer.Option("--compact", help="Also rewrite the file without the bytes of deleted rows.")
    ] = False,
    fetch: Annotated[
        bool, typer.Option("--fetch", help="Fetch what another machine published to DIARY_BUCKET instead.")
    ] = False,
    form: Annotated[
        Format | None, typer.Option("--format", "-f", help="Print the figures of each publish too.")
    ] = None,
) -> None:
    """Make everything committed visible in the catalogue that users query.

    With `--watch` it rests 20 times as long as the last publish took, 2 s at least and a minute at most.
    """
    settings = begin()
    if fetch:
        _fetch(settings, watch)
        return
    existing_home(settings)
    spare_threads(settings)
    from diary_pipeline.wiring.deployment import Wiring

    wiring = Wiring(settings)
    embedding = Embedding(wiring)
    if not watch:
        done = wiring.publisher.compact() if compact else wiring.publisher.publish()
        _tell(done, form)
        if not compact:  # whoever erases waits for this process to end
            embedding.go_on(AFTER_PUBLISH_S, done.watermark)
        return
    from diary_pipeline.ledger.publications import place_of
    from diary_pipeline.ledger.publications import watch as announce

    announced = 0.0
    while True:
        rest_s = WATCH_S
        try:
            if time.monotonic() - announced > WATCHED_S / 3:
                announce(wiring.ledger, place_of(settings.catalogue_file), WATCHED_S)
                announced = time.monotonic()
            done = wiring.publisher.publish()
        except TransientError as error:  # a full disk or a lost share: what is published stays, and they may come back
            say(f"diary: {error.message} [{error.code}] Trying again in {LONGEST_REST_S:.0f} s.")
            rest_s = LONGEST_REST_S
        else:
            if done.origin:
                _tell(done, form)
                rest_s = min(max(REST * done.seconds, WATCH_S), LONGEST_REST_S)
            embedding.go_on(WHILE_WATCHING_S, done.watermark)
        time.sleep(rest_s)


def _tell(done: "Published", form: Format | None) -> None:
    seen = f"; the last commit could be seen {done.freshness_s:.1f} s after it was made" if done.freshness_s else ""
    say(f"published {done.recordings} recordings up to commit {done.watermark} in {done.seconds:.2f} s{seen}")
    if form is not None:
        figures = vars(done)
        print_rows(tuple(figures), [tuple(figures.values())], form)


def _fetch(settings: Settings, watch: bool) -> None:
    from diary_pipeline.catalogue.fetched import fetch_published
    from diary_pipeline.wiring.deployment import Wiring

    store = Wiring(settings).bucket_store
    if store is None:
        raise UsageError("bucket_missing", "There is nowhere to fetch from: set DIARY_BUCKET to where it is published.")
    while True:
        done = fetch_published(store, settings.catalogue_file, settings.search_file)
        if done.size_bytes:
            say(f"fetched {done.size_bytes / 1e6:.1f} MB; the catalogue is at commit {done.watermark}")
        elif not watch:
            say(f"the newest is here: commit {done.watermark}")
        if not watch:
            return
        time.sleep(FETCH_WATCH_S)


def doctor(form: FormatOption = Format.table) -> None:
    """Print every setting with its source, and test what they point at.

    Exit code 3: something that is needed is not there; the row says what to do.
    """
    from diary_pipeline.cli.checkup import examine
    from diary_pipeline.settings_pages import explain

    settings = begin()
    findings = examine(settings)
    rows: list[tuple[object, ...]] = [(row.name, row.value, row.source, row.description) for row in explain(settings)]
    rows += [(f.subject, f.state, "check", f.detail) for f in findings]
    print_rows(("name", "value", "source", "description"), rows, form)
    if missing := [f for f in findings if f.state == "missing"]:
        for finding in missing:
            say(f"{finding.subject}: {finding.detail}")
        raise typer.Exit(3)


def dev() -> None:
    """Serve Dagster's UI and daemon on this machine until Ctrl-C; dropped recordings become notes meanwhile."""
    settings = begin()
    prepare_home(settings)
    _must_be_free(settings.ui_host, settings.ui_port)
    where = f"http://{settings.ui_host}:{settings.ui_port}"
    say(f"Dagster: {where}   drop recordings into: {settings.drop_dir}")
    place = ["--host", settings.ui_host, "--port", str(settings.ui_port)]
    workspace = ["--workspace", str(settings.dagster_home / "workspace.yaml")]
    # This process becomes Dagster, so that Ctrl-C and a service manager's SIGTERM reach it.
    # `dg dev`, which the warning recommends, is a development tool that we do not install for users.
    quiet = ["-W", "ignore:Function `dev_command` is superseded"]
    command = [sys.executable, *quiet, "-m", "diary_pipeline.instance.webserver", "dev", *workspace, *place]
    # A script's `diary dev &` hands SIGINT down ignored, and Dagster then ignores SIGTERM too: nothing would end it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    answers_to = ",".join((settings.ui_host, *settings.ui_hosts))
    os.execve(sys.executable, command, {**dagster_environment(settings), "DIARY_UI_HOSTS": answers_to})  # noqa: S606


def _must_be_free(host: str, port: int) -> None:
    """Refuse in time: Dagster would start a second daemon although its web server finds the port taken."""
    import socket

    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise UsageError(
                "port_taken",
                f"{host}:{port} cannot be used ({error.strerror}): stop what serves there, or set DIARY_UI_PORT.",
            ) from error
