"""`diary backup` and `diary restore`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diary_pipeline.cli.home import begin, existing_home, prepare_home
from diary_pipeline.cli.output import console, say
from diary_pipeline.core.errors import ServiceMissing, TransientError, UsageError

if TYPE_CHECKING:
    from diary_pipeline.wiring.deployment import Wiring


def backup(
    to: Annotated[Path, typer.Argument(help="Folder of the backup; one that is there is brought up to date.")],
) -> None:
    """Copy ledger, audio, transcripts, notes and Dagster's state into a folder, while everything runs.

    Only what is new is copied, and what is gone is removed there too: keep several folders, or snapshots of one, to go
    further back. It holds the secret of tombstones and receipts, so guard it like the diary. Not in it: models, and
    what `diary restore` makes again (catalogue, marts, search index).

    Example: `diary backup /mnt/disk/diary`.

    Exit code 1: objects that the diary needs are lost; the backup holds everything else.
    """
    settings = begin()
    existing_home(settings)
    place, home = to.expanduser().resolve(), settings.home.resolve()
    if place.is_relative_to(home) or home.is_relative_to(place):
        raise UsageError("backup_refused", f"{to} is in the diary's own folder or around it: name another place.")
    from rich.progress import DownloadColumn, Progress

    from diary_pipeline.upkeep.backup import MANIFEST, back_up
    from diary_pipeline.wiring.deployment import Wiring

    wiring = Wiring(settings)
    with Progress("copying", DownloadColumn(), console=console(), transient=True) as bar:
        task = bar.add_task("copying", total=None)
        places = wiring.backup_places
        try:
            done = back_up(wiring.ledger, wiring.store, places, place, lambda n: bar.advance(task, n))
        except OSError as error:
            raise ServiceMissing(
                "backup_unwritable", f"{to} cannot be written ({error.strerror}): make room, or name another place."
            ) from error
    held = done.manifest
    say(
        f"{to} holds {held.files} files, {held.objects_bytes / 1e6:.1f} MB: {done.copied} objects copied, "
        f"{done.removed} removed."
    )
    if held.missing:
        say(f"{len(held.missing)} objects are lost, here and in {to}; {MANIFEST} names them, `diary reconcile` mends.")
        raise typer.Exit(1)


def restore(
    source: Annotated[Path, typer.Argument(metavar="FROM", help="Folder that `diary backup` wrote.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Put the backup in the place of the diary that is here.")
    ] = False,
    receipts: Annotated[
        Path | None,
        typer.Option("--receipts", help="Folder of more receipts, such as <home>/receipts of a machine that is gone."),
    ] = None,
) -> None:
    """Put a backup back, erase again what was erased since it was taken, and publish.

    Receipts of the diary that is replaced count, those in the backup, and those you name. Stop `diary dev` first.

    Example: `diary restore /mnt/disk/diary --replace`.

    Exit code 1: something that was erased before waits to be erased again.
    """
    settings = begin()
    prepare_home(settings)
    from diary_pipeline.cli.drain import demand_no_daemon
    from diary_pipeline.upkeep.restore import demand_free
    from diary_pipeline.upkeep.restore import restore as put_back
    from diary_pipeline.wiring.deployment import Wiring

    demand_no_daemon(settings)
    demand_free(settings.ledger_url, replace=replace)
    wiring = Wiring(settings)
    _finish_begun(wiring)
    places = wiring.backup_places
    folder = source.expanduser().absolute()
    done = put_back(folder, settings.ledger_url, wiring.store, places, wiring.derived_files, replace=replace)
    if wiring.publication is not None:  # what lies there may hold what was erased since the backup
        wiring.publication.withdraw()
    say(f"{done.objects} objects were missing and are back; this is the diary of {done.manifest.taken_at}.")
    if done.manifest.missing:
        say(
            f"{len(done.manifest.missing)} objects were lost before the backup was taken; `diary reconcile` finds them."
        )
    anew = Wiring(settings)  # the secret may be another one now
    _erase_again(anew, _receipts(anew.receipt_dir) + (_receipts(receipts) if receipts else []))


def _finish_begun(wiring: "Wiring") -> None:
    """Finish what waits to be erased; where that cannot be done any more, its receipts say what to erase again."""
    from diary_pipeline.cli.drain import erase as finish
    from diary_pipeline.core.errors import DiaryError
    from diary_pipeline.ledger import erasures
    from diary_pipeline.upkeep.again import keep_begun

    with wiring.ledger.reading() as conn:
        begun = erasures.unfinished(conn)
    if begun:
        keep_begun(wiring.ledger, wiring.seal, wiring.receipt_dir)
        try:
            finish(wiring)
        except DiaryError as error:
            say(f"What waits to be erased is erased after restoring, because it cannot be now: {error}")
    wiring.ledger.close()


def _erase_again(wiring: "Wiring", known: list[dict[str, object]]) -> None:
    from diary_pipeline.cli.drain import erase as finish
    from diary_pipeline.upkeep.again import hide_again
    from diary_pipeline.upkeep.receipts import is_genuine

    genuine = [receipt for receipt in known if is_genuine(wiring.seal, receipt)]
    if len(genuine) < len(known):
        say(f"{len(known) - len(genuine)} receipts are not this diary's, or were changed, and do not count.")
    if returned := hide_again(wiring.ledger, wiring.seal, genuine):
        say(f"{returned} recordings or persons were erased after the backup was taken, and are erased again...")
    done = finish(wiring)
    if done is not None and done.waiting:
        say(f"{done.waiting} erasures wait for a run; `diary dev` finishes them.")
        raise typer.Exit(1)
    _publish(wiring)


def _publish(wiring: "Wiring") -> None:
    try:
        done = wiring.publish()
    except TransientError as error:
        say(f"{error.message} Run `diary publish`.")
    else:
        say(f"published {done['recordings']} recordings up to commit {done['watermark']}")


def _receipts(folder: Path) -> list[dict[str, object]]:
    """Read what looks like receipts; whose they are is told by their signatures."""
    found = []
    for file in sorted(folder.glob("*.json")):
        try:
            said = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            said = None
        found += [said] if isinstance(said, dict) and "signature" in said else []
    return found
