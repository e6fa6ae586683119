"""From a named place to a submission row: the promise that a file will be looked at. Reads no byte of audio.

A file that did not change since it was last submitted (same owner, place, size and time of change) answers with the
submission it has. The surprise is who may ask twice: somebody who names a file gets another try after a refusal or a
failure, and another version with other options; a watched folder, which offers the same files every few seconds, never
does.
"""

import hashlib
import json
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from diary_pipeline.core.batch import priority_rank
from diary_pipeline.core.errors import NotFound, UsageError
from diary_pipeline.core.owner import owner_name
from diary_pipeline.intake.fetcher import Fetcher
from diary_pipeline.intake.names import name_in, path_of, scheme_of, shown_name, uris_of
from diary_pipeline.intake.options import Options
from diary_pipeline.intake.sidecar import is_sidecar
from diary_pipeline.intake.sources import FoundFile, WatchedFolder, look, scan
from diary_pipeline.ledger import submissions
from diary_pipeline.ledger.acceptance import HOPELESS
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.submissions import NewFile, Seen, Submission

_LOOKUP = 500  # places in one question to the ledger; SQLite takes a limited number of variables
_NAMED_IN_ERROR = 3
_TRY_AGAIN = frozenset({"refused", "failed", "cancelled"})


def submit_paths(
    ledger: Ledger,
    paths: Iterable[str | Path],
    owner: str,
    source: str,
    options: Mapping[str, object],
    *,
    priority: str = "medium",
    allowed_models: Collection[str] | None = None,
    exclude: Sequence[Path] = (),
    fetchers: Mapping[str, Fetcher] | None = None,
) -> list[str]:
    """Submit files, recordings inside folders and addresses that somebody named; return a submission id for each.

    Nothing is submitted when a place, the owner, the priority or an option is wrong. A named file is always taken,
    whatever it is called; inside a folder the rules of sources.py hold, except that nothing has to settle. `fetchers`:
    what addresses can be fetched here, by scheme. The ids of files come first.
    """
    owner_name(owner)
    wanted = Options.read(options)
    priority_rank(priority)
    if allowed_models is not None:
        check_model(wanted.whisper_model, allowed_models)
    places, far = _near_and_far(paths, fetchers or {})
    found = list(_named(places, exclude))
    ids = [id for id, _ in submit_found(ledger, found, owner, source, wanted, priority=priority, asked=True)]
    return [*ids, *(_submit_address(ledger, uri, owner, source, wanted, priority) for uri in far)]


def _near_and_far(places: Iterable[str | Path], fetchers: Mapping[str, Fetcher]) -> tuple[list[Path], list[str]]:
    near: list[Path] = []
    far: list[str] = []
    for place in places:
        fetcher = fetchers.get(scheme_of(place)) if isinstance(place, str) else None
        if fetcher is None or not isinstance(place, str):
            near.append(path_of(place))
        else:
            fetcher.check(place)
            far.append(place)
    return near, far


def _submit_address(  # noqa: PLR0917 - as submit_found, in its order
    ledger: Ledger, uri: str, owner: str, source: str, wanted: Options, priority: str
) -> str:
    # An address may hold a signature, so what is remembered of it is its hash.
    remembered = f"address:{hashlib.sha256(uri.encode()).hexdigest()}"
    with ledger.reading() as conn:
        before = submissions.seen(conn, owner, [remembered]).get(remembered)
        rows = submissions.get(conn, [before.submission_id]) if before else []
    for row in rows:
        if row.waits and Options.read(row.options).as_json() == wanted.as_json():
            return row.id
    id = submissions.submit(
        ledger,
        owner=owner,
        source=source,
        uri=uri,
        file_name=name_in(uri),
        options=wanted.as_json(),
        priority=priority,
    )
    submissions.remember(ledger, owner, remembered, 0, 0, id)
    return id


def submit_found(
    ledger: Ledger,
    found: Iterable[FoundFile],
    owner: str,
    source: str,
    wanted: Options,
    *,
    priority: str = "medium",
    asked: bool = False,
    most: int = sys.maxsize,
) -> Iterator[tuple[str, bool]]:
    """Submit what changed; yield the submission of each file, and whether it is new; end after `most` new ones.

    `asked`: somebody named the files.
    """
    files = iter(found)
    while most > 0 and (some := list(islice(files, min(_LOOKUP, most)))):
        by_uri = dict(zip(uris_of(file.path for file in some), some, strict=True))
        with ledger.reading() as conn:
            seen = submissions.seen(conn, owner, list(by_uri))
            unsure = [s.submission_id for uri, s in seen.items() if asked or not _unchanged(s, by_uri[uri])]
            rows = {row.id: row for row in submissions.get(conn, unsure)} if unsure else {}
        new: list[NewFile] = []
        told: list[tuple[str, bool]] = []
        for uri, file in by_uri.items():
            before = seen.get(uri)
            row = rows.get(before.submission_id) if before else None
            if before and _answers(before, row, file, wanted if asked else None):
                if not _unchanged(before, file):
                    submissions.remember(ledger, owner, uri, file.size_bytes, file.mtime_ns, before.submission_id)
                told.append((before.submission_id, False))
                continue
            id = _id(owner, uri, file, wanted, before)
            new.append(NewFile(id, uri, shown_name(file.path), file.size_bytes, file.mtime_ns))
            told.append((id, True))
        # One transaction for all of them: each costs a sync of the disk.
        submissions.submit_files(ledger, new, owner=owner, source=source, options=wanted.as_json(), priority=priority)
        most -= len(new)
        yield from told


def check_model(model: str | None, allowed: Collection[str]) -> None:
    """Refuse a Whisper model that this deployment does not offer."""
    if model is not None and model not in allowed:
        raise UsageError(
            "model_not_allowed",
            f"Whisper model {model[:80]!r} is not offered here; use one of {', '.join(sorted(allowed))}.",
        )


def _id(owner: str, uri: str, file: FoundFile, wanted: Options, before: Seen | None) -> str:
    # The same for everybody who finds this state of the file at once, or again after a crash; another one for each
    # later try, which follows another submission.
    said = [owner, uri, file.size_bytes, file.mtime_ns, wanted.as_json(), before.submission_id if before else None]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:32]


def _unchanged(seen: Seen, file: FoundFile) -> bool:
    return (seen.size_bytes, seen.mtime_ns) == (file.size_bytes, file.mtime_ns)


def _answers(seen: Seen, row: Submission | None, file: FoundFile, asked: Options | None) -> bool:
    """Say whether the submission that a file has will do."""
    # One that nobody looked at yet will find the new bytes.
    if not _unchanged(seen, file) and not (row and row.waits):
        return False
    return asked is None or bool(
        row
        and (row.status not in _TRY_AGAIN or row.reason_code in HOPELESS)
        and Options.read(row.options).as_json() == asked.as_json()
    )


def _named(paths: Sequence[Path], exclude: Sequence[Path]) -> Iterator[FoundFile]:
    absent = [path for path in paths if not path.is_dir() and look(path) is None]
    if absent:
        raise NotFound(
            "source_not_found",
            f"There is no readable file or folder {', '.join(str(path) for path in absent[:_NAMED_IN_ERROR])}"
            f"{f' (and {len(absent) - _NAMED_IN_ERROR} more)' if len(absent) > _NAMED_IN_ERROR else ''}; "
            "nothing was submitted.",
        )
    for path in paths:
        if path.is_dir():
            yield from scan(WatchedFolder(path), 0.0, time.time(), exclude)
        elif (found := look(path)) and not is_sidecar(path):  # `diary ingest folder/*` names sidecars too
            yield found
