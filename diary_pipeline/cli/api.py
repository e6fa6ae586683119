"""`diary api`: the job API on this machine's ports until Ctrl-C or SIGTERM.

What it serves stands in api/, how in api/serving.py. What surprises: it makes a home where there is none, because
handing in the first recording is one way to begin a diary.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from diary_pipeline.cli.home import prepare_home
from diary_pipeline.cli.output import say
from diary_pipeline.core.errors import UsageError
from diary_pipeline.observability.logs import configure_logging
from diary_pipeline.settings import load_settings

if TYPE_CHECKING:
    from diary_pipeline.ledger.connect import Ledger


def api(
    ingestion: Annotated[bool, typer.Option("--ingestion", help="Only what takes recordings.")] = False,
    status: Annotated[bool, typer.Option("--status", help="Only what tells of them.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Both on one port, the ingestion API's.")] = False,
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on; left out: DIARY_API_HOST.")] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65_535, help="Port of the one app; 0: any that is free.")
    ] = None,
) -> None:
    """Serve the job API: both apps, each on its own port, unless one is named.

    Examples: `diary api --all`; `diary api --ingestion --host 0.0.0.0` (wants a key: `diary keys create`).

    Exit code 2: the address is reachable from elsewhere and there is no key, or the port is taken.
    """
    if ingestion + status + everything > 1:
        raise UsageError("api_which", "Say one of --ingestion, --status and --all, or none of them for both apps.")
    if port is not None and not (ingestion or status or everything):
        raise UsageError("api_which", "--port is for one app: say --ingestion, --status or --all with it.")
    settings = load_settings()
    if host is not None:
        settings = settings.model_copy(update={"api_host": host})
    configure_logging(settings.log_level, settings.log_format == "json")
    from diary_pipeline.api.app import all_in_one, ingestion_app, status_app
    from diary_pipeline.api.auth import auth_mode
    from diary_pipeline.api.parts import parts_of
    from diary_pipeline.api.serving import listen, serve
    from diary_pipeline.api.webhooks import sender_of
    from diary_pipeline.intake.scratch import sweep_scratch
    from diary_pipeline.wiring.deployment import Wiring

    mode = auth_mode(settings.api_auth, settings.api_host, settings.trusted_proxies)
    prepare_home(settings)
    sweep_scratch(settings.scratch_dir)  # no worker may ever come by here that would
    parts = parts_of(Wiring(settings))
    if mode == "keys":
        _demand_key(parts.ledger, settings.api_host)
    made = {"ingestion": (ingestion_app, settings.ingestion_port), "status": (status_app, settings.status_port)}
    made["all"] = (all_in_one, settings.ingestion_port)
    wanted = (
        ["all"] if everything else ["status"] if status else ["ingestion"] if ingestion else ["ingestion", "status"]
    )
    at = {name: listen(settings.api_host, made[name][1] if port is None else port) for name in wanted}
    for name, bound in at.items():
        shown = f"[{settings.api_host}]" if ":" in settings.api_host else settings.api_host
        say(f"{name}: http://{shown}:{bound.getsockname()[1]}")
    apps = {bound: made[name][0](parts) for name, bound in at.items()}
    with sender_of(parts):
        serve(apps, settings.api_connections, settings.api_stop_s, [app.state.watch.end for app in apps.values()])


def _demand_key(ledger: "Ledger", host: str) -> None:
    """Refuse to listen where nobody could be let in, which is nearly always a key that was forgotten."""
    from diary_pipeline.ledger.api_keys import all_keys

    with ledger.reading() as conn:
        has_key = any(key.state == "good" for key in all_keys(conn))
    if not has_key:
        raise UsageError(
            "api_no_key", f"Requests to {host} need a key and there is none: make one with `diary keys create`."
        )
