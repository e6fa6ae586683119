"""`diary keys`: who may use the job API. What surprises: a key is shown once, when it is made, and never again."""

import re
from typing import Annotated

import typer

from diary_pipeline.cli.home import begin, existing_home, prepare_home
from diary_pipeline.cli.output import Format, FormatOption, print_rows, say
from diary_pipeline.core.errors import UsageError
from diary_pipeline.settings import Settings

COLUMNS = ("id", "name", "user_id", "scopes", "tier", "state", "created_at", "expires_at", "last_used_at")
_SPAN = re.compile(r"([1-9]\d{0,4})([hdw])")
_SPAN_S = {"h": 3600, "d": 86_400, "w": 7 * 86_400}

app = typer.Typer(no_args_is_help=True, help="Keys of the job API: create, list, revoke.")


@app.command()
def create(
    user: Annotated[str | None, typer.Option("--user", help="Whose jobs it may touch; left out: everybody's.")] = None,
    scopes: Annotated[str, typer.Option(help="Any of submit, read and admin, separated by commas.")] = "submit,read",
    expires: Annotated[str, typer.Option(help="After how long it ends, such as 12h, 90d or 8w, or never.")] = "90d",
    tier: Annotated[str | None, typer.Option(help="A tier of DIARY_RATE_TIERS; left out: the usual limits.")] = None,
    name: Annotated[str, typer.Option(help="What uses it, so that a list says which one to revoke.")] = "unnamed",
) -> None:
    """Make a key and print it, this once: the ledger keeps only its hash.

    Examples: `diary keys create --user ada --name phone`; `diary keys create --scopes read --expires 12h > key.txt`.
    """
    settings = begin()
    expires_s = _seconds(expires)
    _known_tier(settings, tier)
    prepare_home(settings)
    from diary_pipeline.ledger.api_keys import create as make
    from diary_pipeline.ledger.opening import open_ledger

    wanted = [scope.strip() for scope in scopes.split(",") if scope.strip()]
    id, text = make(
        open_ledger(settings.ledger_url), name=name, scopes=wanted, owner=user, tier=tier, expires_s=expires_s
    )
    print(text)
    whose = f"{user}'s" if user else "EVERYBODY's"
    say(f"Key {id} may {' and '.join(wanted)} {whose} jobs. Keep it now: it is not shown again.")


@app.command("list")
def list_keys(form: FormatOption = Format.table) -> None:
    """List all keys, revoked ones too, the newest first; never their secrets.

    Example: `diary keys list --format json`.
    """
    settings = begin()
    existing_home(settings)
    import datetime as dt

    from diary_pipeline.ledger.api_keys import SCOPES, all_keys
    from diary_pipeline.ledger.opening import open_ledger

    def shown(at: float | None) -> dt.datetime | None:
        return None if at is None else dt.datetime.fromtimestamp(round(at), dt.UTC)

    with open_ledger(settings.ledger_url).reading() as conn:
        keys = all_keys(conn)
    rows = [
        (
            key.id,
            key.name,
            key.owner,
            ",".join(scope for scope in SCOPES if scope in key.scopes),
            key.tier,
            key.state,
            shown(key.created_at),
            shown(key.expires_at),
            shown(key.last_used_at),
        )
        for key in keys
    ]
    print_rows(COLUMNS, rows, form)


@app.command()
def revoke(id: Annotated[str, typer.Argument(metavar="ID", help="An id of `diary keys list`.")]) -> None:
    """End a key for good; every replica refuses it within seconds.

    Example: `diary keys revoke 3f2a90c1b7de`.
    """
    settings = begin()
    existing_home(settings)
    from diary_pipeline.ledger.api_keys import revoke as end
    from diary_pipeline.ledger.opening import open_ledger

    key = end(open_ledger(settings.ledger_url), id)
    say(f"Key {key.id} ({key.name}) is revoked.")


def _seconds(said: str) -> float | None:
    if said == "never":
        return None
    span = _SPAN.fullmatch(said)
    if not span:
        raise UsageError(
            "expiry_invalid", f"--expires {said[:40]!r} is no span; say never, or a number with h, d or w, such as 90d."
        )
    return float(span[1]) * _SPAN_S[span[2]]


def _known_tier(settings: Settings, tier: str | None) -> None:
    if tier is not None and tier not in settings.tiers:
        known = ", ".join(settings.tiers) or "there is none"
        raise UsageError("tier_unknown", f"DIARY_RATE_TIERS names no tier {tier[:40]!r}; known: {known}.")
