"""`diary erase`: take recordings, or all of a person, out of the diary; and the receipts that say so.

Hiding is done here and at once. Removing the bytes is the sensor's when a daemon lives, else this process does it.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diary_pipeline.cli.home import begin, existing_home
from diary_pipeline.cli.output import Format, FormatOption, print_json, print_rows, say
from diary_pipeline.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from diary_pipeline.ledger.erasures import Scope
    from diary_pipeline.wiring.deployment import Wiring

COUNTS = ("store", "what", "count")
RECEIPTS = ("erasure_id", "scope", "recordings", "hidden_at", "bytes_removed_at")
SHOWN = 1000


def erase(
    recording: Annotated[
        str, typer.Option("--recording", help="Key (its beginning or end will do), or id of a refused submission.")
    ] = "",
    user: Annotated[str, typer.Option("--user", help="Whose diary goes; with --allow, who may hand it in.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go.")] = False,
    allow: Annotated[
        Path | None, typer.Option("--allow", help="Let this audio file, which was erased, be handed in again.")
    ] = None,
    receipts: Annotated[bool, typer.Option("--receipts", help="Print the receipts of finished erasures.")] = False,
    verify: Annotated[
        Path | None, typer.Option("--verify", help="Tell whether a receipt's file is ours and unchanged.")
    ] = None,
    form: FormatOption = Format.table,
) -> None:
    """Erase recordings for good: audio, transcript, note, exports, history, and what Dagster remembers.

      diary erase --recording 2026-05-01-walk --dry-run

      diary erase --user anna --yes

    Hidden at once, in SQL with the next publish; the receipt says when the bytes were removed. The file it was handed
    in from stays where it is and is not taken in again.

    Exit code 1: the receipt is not genuine, or something waits to be removed.
    """
    settings = begin()
    existing_home(settings)
    from diary_pipeline.wiring.deployment import Wiring

    wiring = Wiring(settings)
    if verify is not None:
        _verify(wiring, verify)
    elif allow is not None:
        _allow(wiring, user or settings.default_owner, allow)
    elif receipts:
        _print_receipts(wiring, form)
    elif bool(recording) == bool(user):
        raise UsageError("erase_what", "Say what to erase: either --recording KEY or --user NAME.")
    else:
        scope: Scope = "recording" if recording else "user"
        _erase(wiring, scope, _target(wiring, recording) if recording else user, yes=yes, dry_run=dry_run, form=form)


def _erase(wiring: "Wiring", scope: "Scope", target: str, *, yes: bool, dry_run: bool, form: Format) -> None:
    from diary_pipeline.ledger import api_keys, erasures

    with wiring.ledger.reading() as conn:
        about = erasures.about(conn, scope, target)
        keys = api_keys.count_of(conn, target) if scope == "user" else 0
        rows = erasures.rows_of(conn, about) | ({"api_keys": keys} if keys else {})
    if dry_run:
        from diary_pipeline.cli.drain import preview_erasure

        _print_counts({"ledger": rows, **preview_erasure(wiring, about)}, form)
        say("Nothing was erased. Counts of the catalogue and the marts are not known before; they go too.")
        return
    brought = sum(s.content_sha256 is not None for s in about)
    if (about or keys) and not yes:
        what = f"{brought} recordings, {len(about) - brought} refusals" + (f" and {keys} keys" if keys else "")
        typer.confirm(f"Erase {what} for good?", abort=True, err=True)
    erasure = erasures.hide(wiring.ledger, wiring.seal, scope, target)
    say("Hidden. Removing the bytes...")
    from diary_pipeline.cli.drain import erase as finish

    done = finish(wiring)
    if done is None:
        say("The running daemon removes the bytes; `diary erase --receipts` shows the receipt when it has.")
        return
    for receipt in done.receipts:
        if receipt["erasure_id"] == erasure.id:
            _print_receipt(receipt, form)
    if done.waiting:
        say(f"{done.waiting} erasures wait for a run that is at work on them; say the same again, or start a daemon.")
        raise typer.Exit(1)


def _target(wiring: "Wiring", said: str) -> str:
    """Give the full key, or the submission's id; one that is hidden already is asked for by its whole name."""
    from diary_pipeline.cli.lookup import find
    from diary_pipeline.core.errors import NotFound
    from diary_pipeline.ledger.submissions import Submission

    try:
        found = find(wiring.ledger, wiring.settings.catalogue_file, said)
    except NotFound:
        return said
    return found.id if isinstance(found, Submission) else found.recording.key


def _allow(wiring: "Wiring", owner: str, file: Path) -> None:
    from diary_pipeline.ledger import tombstones
    from diary_pipeline.storage.packaged_files import sha256_of

    try:
        content = sha256_of(file)
    except OSError as error:
        raise UsageError("source_not_found", f"{file} cannot be read ({error.strerror}).") from error
    if tombstones.allow(wiring.ledger, wiring.seal, owner, content):
        say(f"It may come in again: `diary ingest {file} --user {owner}`.")
    else:
        say(f"{owner} never had this audio erased; it may come in as any other.")


def _print_receipts(wiring: "Wiring", form: Format) -> None:
    from diary_pipeline.ledger import erasures

    with wiring.ledger.reading() as conn:
        done, waiting = erasures.finished(conn, SHOWN), erasures.unfinished(conn)
    if form is Format.json:
        print_json([e.receipt for e in done])
    else:
        told = [[len(v) if isinstance(v := e.receipt[n], list) else v for n in _FIELDS] for e in done]
        print_rows(RECEIPTS, told, form)
    if waiting:
        say(f"{len(waiting)} erasures are hidden and wait for their bytes to be removed.")


_FIELDS = ("erasure_id", "scope", "subjects", "hidden_at", "bytes_removed_at")


def _verify(wiring: "Wiring", file: Path) -> None:
    from diary_pipeline.upkeep.receipts import is_genuine

    try:
        receipt = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError("receipt_unreadable", f"{file} is no receipt ({type(error).__name__}).") from error
    if not (isinstance(receipt, dict) and is_genuine(wiring.seal, receipt)):
        say(f"{file} was not written by this diary, or was changed since.")
        raise typer.Exit(1)
    removed = receipt["bytes_removed_at"] or "not yet when it was written"
    say(f"Genuine: hidden {receipt['hidden_at']}, bytes removed {removed}.")


def _print_receipt(receipt: "Mapping[str, object]", form: Format) -> None:
    if form is Format.json:
        print_json(receipt)
        return
    removed = receipt["removed"]
    _print_counts(removed if isinstance(removed, dict) else {}, form)
    if receipt["counted_together"] != 1:
        say(f"These are the counts of {receipt['counted_together']} erasures together; the ledger's are of this one.")
    say(f"Erased. Hidden {receipt['hidden_at']}, bytes removed {receipt['bytes_removed_at']}; receipt:")
    say(f"  {receipt['erasure_id']}.json. Not removed, because it cannot be or is not ours:")
    for sentence in receipt["remains"] if isinstance(receipt["remains"], list) else ():
        say(f"  {sentence}")


def _print_counts(found: "Mapping[str, Mapping[str, int]]", form: Format) -> None:
    rows = [(store, what, n) for store, counts in sorted(found.items()) for what, n in sorted(counts.items())]
    print_rows(COUNTS, rows, form)
