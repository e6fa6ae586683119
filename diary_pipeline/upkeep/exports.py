"""Where exports lie, what may be overwritten, and how erased recordings leave them.

The targets of all exports are kept in `DIARY_HOME/exports.json`, so that an erasure finds them; it waits for those that
are being written. What is written is catalogue/export.py's and vault.py's business.

What surprises: an export that was moved or copied elsewhere is out of reach. It is reported as missing, never as done,
and stays known: what was made of an erased person alone goes whole when a later erasure finds it there again.
"""

import contextlib
import datetime as dt
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from diary_pipeline.catalogue.export import OnTable, Selection, WordFiles, export_database, is_export, without
from diary_pipeline.catalogue.export_files import export_files, files_without, is_files_export
from diary_pipeline.catalogue.snapshot import Snapshot
from diary_pipeline.core.errors import DiaryError, UsageError
from diary_pipeline.observability.logs import log
from diary_pipeline.storage.appearing import appearing, sweep
from diary_pipeline.storage.private import write_private
from diary_pipeline.upkeep.vault.vault import Vault, Written, is_vault

TableForm = Literal["duckdb", "parquet", "csv"]
Form = Literal["duckdb", "parquet", "csv", "obsidian"]
FORMS: tuple[Form, ...] = get_args(Form)
REGISTRY = "exports.json"
WITHIN = ".exports"
"""Folder below DIARY_HOME where a Parquet or CSV export is gathered first."""
logger = log("upkeep.exports")


@dataclass(frozen=True)
class Export:
    """An export that was made."""

    path: Path
    form: Form
    selection: Selection
    made_at: str
    is_due: bool = False
    """It was made of an erased person alone, and was missing then."""


@dataclass(frozen=True)
class Forgotten:
    """What became of erased recordings in one export."""

    export: Export
    removed: int
    """Rows, or blocks of a vault, that are gone."""
    missing: bool = False
    """Nothing of ours is there any more: it was moved, removed, or something else took its place."""
    trouble: str | None = None
    """Code of what kept it from being done; it is to be tried again."""


def export_tables(
    home: Path,
    live: Path,
    target: Path,
    form: TableForm,
    selection: Selection,
    *,
    words: WordFiles | None = None,
    force: bool = False,
    on_table: OnTable = lambda *_: None,
) -> Export:
    """Write the selection as one file or folder, whole or not at all, and remember where.

    What lies at the target is replaced when it is an export of ours, or with `force`.
    """
    target = target.absolute()
    allow(home, live, target, form, force=force)
    with _turn(home, fcntl.LOCK_SH):
        made = remember(home, target, form, selection)  # first, so that an erasure finds what a killed command left
        if form == "duckdb":
            with appearing(target) as part:
                export_database(live, part, selection, words, on_table)
        else:
            with _scratch(home) as database, appearing(target) as part:
                export_database(live, database, selection, words)
                export_files(database, part, form, on_table)
    return made


def export_vault(
    home: Path,
    live: Path,
    target: Path,
    selection: Selection,
    *,
    transcripts: bool = True,
    force: bool = False,
    on_note: Callable[[int, int], None] = lambda *_: None,
) -> Written:
    """Bring a vault up to the selection, page by page, and remember where it lies."""
    target = target.absolute()
    allow(home, live, target, "obsidian", force=force)
    with _turn(home, fcntl.LOCK_SH), Snapshot(live, selection) as source:
        remember(home, target, "obsidian", selection)
        return Vault(target).update(source, transcripts=transcripts, on_note=on_note)


def allow(home: Path, live: Path, target: Path, form: Form, *, force: bool) -> None:
    """Raise UsageError when an export must not be written there."""
    resolved = target.resolve()
    if any(kept.resolve().is_relative_to(resolved) for kept in (home, live)):
        raise UsageError("export_refused", f"{target} holds the diary itself: name another place with --to.")
    if not os.path.lexists(target) or _is_ours(target, form):
        return
    if target.is_dir() != (form != "duckdb") or (form in ("parquet", "csv") and any(target.iterdir())):
        # A forgotten word must not cost somebody a folder of their own, so not even --force replaces one.
        raise UsageError("export_refused", f"{target} is something else than a {form} export: name another place.")
    if force or (target.is_dir() and ((target / ".obsidian").is_dir() or not any(target.iterdir()))):
        return
    raise UsageError(
        "export_exists", f"{target} is there and is no {form} export of ours: name another place, or say --force."
    )


def remember(home: Path, target: Path, form: Form, selection: Selection) -> Export:
    """Note where an export lies; one of the same place and form is replaced."""
    made = Export(target.absolute(), form, selection, dt.datetime.now(dt.UTC).isoformat(timespec="seconds"))
    _change(home, lambda known: [*(e for e in known if e.path != made.path), made])
    return made


def known_exports(home: Path) -> list[Export]:
    """List the exports that were made from this home, also those that are gone since."""
    try:
        told = json.loads((home / REGISTRY).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    return [_export(said) for said in told["exports"]]


def missing_exports(home: Path) -> int:
    """Count the known exports of which nothing is where it was made."""
    missing = 0
    for export in known_exports(home):
        with contextlib.suppress(DiaryError):  # somebody has it open, so it is there
            missing += _is_missing(export)
    return missing


def forget_recordings(home: Path, subjects: Collection[str]) -> list[Forgotten]:
    """Remove all that names these recording keys, or ids of refused submissions, from every known export.

    Can be repeated. Rows are taken out by writing the export anew, so that no byte of them stays; what killed exports
    left goes whole. One that is in trouble keeps no other from being done. Waits for exports that are being written.
    """
    with _turn(home, fcntl.LOCK_EX):
        return _forget_all(home, subjects)


def forget_user(home: Path, user: str, subjects: Collection[str]) -> list[Forgotten]:
    """Forget all recordings of a person, and the exports that were made of that person alone, their names included.

    Can be repeated; an export in trouble stays known, and a missing one without the name.
    """
    with _turn(home, fcntl.LOCK_EX):
        done = _forget_all(home, subjects)
        over = {f.export: f.missing for f in done if f.export.selection.user == user and f.trouble is None}
        for export, missing in over.items():
            if not missing:
                _remove_whole(export)
        due = [replace(e, selection=replace(e.selection, user=None), is_due=True) for e in over if over[e]]
        _change(home, lambda known: [*(e for e in known if e not in over), *due])
    return done


def conflicts(home: Path) -> list[tuple[Path, Path | None]]:
    """List pages of vaults edited by hand, each with the newer text beside it; None: its recording is gone."""
    vaults = [e.path for e in known_exports(home) if e.form == "obsidian" and is_vault(e.path)]
    return [pair for path in vaults for pair in Vault(path).conflicts()]


def _forget_all(home: Path, subjects: Collection[str]) -> list[Forgotten]:
    for left in (home / WITHIN).glob("*"):
        left.unlink()
    done = []
    for export in known_exports(home):
        try:
            done.append(_forget(export, subjects))
        except DiaryError as error:
            logger.warning(error.code, form=export.form)
            done.append(Forgotten(export, 0, trouble=error.code))
        except (OSError, ValueError) as error:  # the disk, or a damaged file
            logger.warning("export_unwritable", form=export.form, error=type(error).__name__)
            done.append(Forgotten(export, 0, trouble="export_unwritable"))
    over = [f.export for f in done if f.export.is_due and not f.missing and f.trouble is None]
    if over:
        _change(home, lambda known: [e for e in known if e not in over])
    return done


def _forget(export: Export, subjects: Collection[str]) -> Forgotten:
    path = export.path
    sweep(path)
    if _is_missing(export):
        return Forgotten(export, 0, missing=True)
    if export.is_due:
        return Forgotten(export, _remove_whole(export))
    match export.form:
        case "obsidian":
            for left in path.rglob(".????????.part"):  # pages that a killed export was writing
                left.unlink()
            removed = Vault(path).remove(subjects)
        case "duckdb":
            with appearing(path) as part:
                removed = without(path, part, subjects)
        case "parquet" | "csv":
            with appearing(path) as part:
                removed = files_without(path, part, export.form, subjects)
    return Forgotten(export, removed)


def _is_missing(export: Export) -> bool:
    """Tell whether nothing of ours lies there; DiaryError when somebody has it open, so nobody knows."""
    return not os.path.lexists(export.path) or not _is_ours(export.path, export.form)


def _remove_whole(export: Export) -> int:
    """Remove an export, and return that it was one."""
    if export.form == "obsidian":
        Vault(export.path).abandon()
    elif export.path.is_dir():
        shutil.rmtree(export.path)
    else:
        export.path.unlink()
    return 1


def _is_ours(target: Path, form: Form) -> bool:
    if target.is_symlink():
        return False
    match form:
        case "duckdb":
            return target.is_file() and is_export(target)
        case "obsidian":
            return is_vault(target)
        case "parquet" | "csv":
            return is_files_export(target)


@contextlib.contextmanager
def _scratch(home: Path) -> Iterator[Path]:
    """Give a place for a database that is thrown away: below the home, because it holds a diary."""
    (home / WITHIN).mkdir(mode=0o700, exist_ok=True)
    database = home / WITHIN / f"{os.getpid()}.duckdb"
    try:
        database.unlink(missing_ok=True)
        yield database
    finally:
        for left in (home / WITHIN).glob(f"{database.name}*"):
            left.unlink()


@contextlib.contextmanager
def _turn(home: Path, how: int) -> Iterator[None]:
    """Write an export (LOCK_SH), or be the only one who does (LOCK_EX)."""
    lock = os.open(home / ".exports.lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, how)
        yield
    finally:
        os.close(lock)


def _change(home: Path, change: Callable[[list[Export]], list[Export]]) -> None:
    lock = os.open(home / f".{REGISTRY}.lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        told = {"exports": [_told(e) for e in change(known_exports(home))]}
        write_private(home / REGISTRY, json.dumps(told, indent=1).encode())
    finally:
        os.close(lock)


def _told(export: Export) -> Mapping[str, Any]:
    chosen = {name: None if value is None else str(value) for name, value in asdict(export.selection).items()}
    return {"path": str(export.path), "form": export.form, "made_at": export.made_at, **chosen, "is_due": export.is_due}


def _export(said: Mapping[str, Any]) -> Export:
    since, until = (dt.date.fromisoformat(said[name]) if said[name] else None for name in ("since", "until"))
    selection = Selection(said["user"], since, until)
    return Export(Path(said["path"]), said["form"], selection, said["made_at"], said.get("is_due", False))
