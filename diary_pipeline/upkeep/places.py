"""Where the bytes of a diary lie, and how those of some recordings go from each place.

The order of places and what comes of it is erase.py's business; Dagster's storage is behind partitions.py.

What surprises: `count` is asked before and after. Before, for the receipt; after, because only a place that counts
nothing is done, whoever wrote there in between.
"""

import hashlib
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from diary_pipeline.catalogue.log_object import sweep_staged
from diary_pipeline.catalogue.rewrite import rewrite_without
from diary_pipeline.core.errors import NotFound, TransientError
from diary_pipeline.intake.parts import halves_of, sweep_intake
from diary_pipeline.ledger import log_objects, refused_uploads
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.erasures import Subject
from diary_pipeline.storage.keys import (
    UPLOADS,
    answers_prefix,
    audio_prefix,
    checkpoints_prefix,
    upload_key,
    upload_parts_prefix,
)
from diary_pipeline.storage.store import ObjectStore
from diary_pipeline.upkeep.exports import forget_recordings, forget_user
from diary_pipeline.upkeep.partitions import Named, Partitions

LONGEST_WRITE_S = 3600.0
INCOMPLETE = "erasure_incomplete"


class Place(Protocol):
    """One store of bytes."""

    @property
    def name(self) -> str:
        """What receipts call it."""
        ...

    def count(self, gone: Sequence[Subject], /) -> Mapping[str, int]:
        """Count what there is of them, by kind; nothing where only a rewriting can tell."""
        ...

    def remove(self, gone: Sequence[Subject], /) -> None:
        """Remove it; doing so again does no harm."""
        ...


@dataclass(frozen=True)
class StoredObjects:
    """Audio, uploads, windows, paid answers. A source that lies in somebody's own bucket is not ours to delete."""

    store: ObjectStore
    name: str = "store"

    def count(self, gone: Sequence[Subject], /) -> Mapping[str, int]:
        """Count objects."""
        found: dict[str, int] = {}
        for kind, _ in self._objects(gone):
            found[kind] = found.get(kind, 0) + 1
        return found

    def remove(self, gone: Sequence[Subject], /) -> None:
        """Delete objects, and the folders that are named after recordings."""
        for _, key in list(self._objects(gone)):
            self.store.delete(key)
        for subject in gone:
            for prefix in _prefixes(subject).values():
                self.store.delete(prefix.removesuffix("/"))  # on a file system an empty folder still tells the key

    def _objects(self, gone: Sequence[Subject]) -> Iterator[tuple[str, str]]:
        for subject in gone:
            audio = subject.object_key
            if audio and audio.startswith(audio_prefix(subject.owner)) and self.store.exists(audio):
                yield "audio", audio
            if _is_submission(subject) and self.store.exists(upload_key(subject.subject)):
                yield "uploads", upload_key(subject.subject)
            for kind, prefix in _prefixes(subject).items():
                yield from ((kind, key) for key in self.store.list(prefix))


def _is_submission(subject: Subject) -> bool:
    """Tell whether it never became a recording; what was uploaded of one that did is no longer there."""
    return bool(subject.subject) and subject.content_sha256 is None


def _prefixes(subject: Subject) -> Mapping[str, str]:
    if _is_submission(subject):
        return {"upload_parts": upload_parts_prefix(subject.subject)}
    if subject.content_sha256 is None:
        return {}
    return {
        "checkpoints": checkpoints_prefix(subject.owner, subject.content_sha256),
        "answers": answers_prefix(subject.owner, subject.subject),
    }


@dataclass(frozen=True)
class RefusedUploads:
    """The same bytes as an erased recording's, which its owner had handed in before and which were refused and kept."""

    ledger: Ledger
    store: ObjectStore
    name: str = "uploads"

    def count(self, gone: Sequence[Subject], /) -> Mapping[str, int]:
        """Count uploads."""
        found = sum(self.store.exists(upload_key(id)) for id in self._same(gone))
        return {"refused": found} if found else {}

    def remove(self, gone: Sequence[Subject], /) -> None:
        """Delete them, and what they held; that they were refused may still be told."""
        ids = self._same(gone)
        for id in ids:
            self.store.delete(upload_key(id))
        self.ledger.write(lambda tx: refused_uploads.forget(tx, ids))

    def _same(self, gone: Sequence[Subject]) -> list[str]:
        erased = {(s.owner, s.content_sha256) for s in gone if s.content_sha256}
        if not erased:
            return []
        self._read_unread({owner for owner, _ in erased})
        with self.ledger.reading() as conn:
            return refused_uploads.of_bytes(conn, erased)

    def _read_unread(self, owners: Collection[str]) -> None:
        ids = [key.removeprefix(UPLOADS) for key in self.store.list(UPLOADS)]
        with self.ledger.reading() as conn:
            unread = refused_uploads.unread(conn, ids, owners)
        for id, owner in unread:
            try:
                with self.store.path(upload_key(id)).open("rb") as file:
                    sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            except (NotFound, FileNotFoundError):
                continue  # dropped or tried again meanwhile
            refused_uploads.note(self.ledger, id, owner, sha256)


@dataclass(frozen=True)
class ScratchFiles:
    """What is on its way in on this machine; another's goes with the next look of its own intake."""

    ledger: Ledger
    folder: Path
    name: str = "scratch"

    def count(self, gone: Sequence[Subject], /) -> Mapping[str, int]:
        """Count what is half fetched."""
        found = halves_of(self.folder, {s.subject for s in gone if _is_submission(s)})
        return {"fetched": found} if found else {}

    def remove(self, _gone: Sequence[Subject], /) -> None:
        """Delete what no submission waits for, and what killed processes left; who is fetching it finds out itself."""
        sweep_intake(self.folder, self.ledger)


@dataclass(frozen=True)
class ExportedFiles:
    """Notes and transcripts as files, `<root>/<day>/<key>.<format>`; the day may have been another one once."""

    roots: Mapping[str, Path]
    name: str = "files"

    def count(self, gone: Sequence[Subject], /) -> Mapping[str, int]:
        """Count files by kind."""
        found = {kind: len(list(_named_after(root, gone))) for kind, root in self.roots.items()}
        return {kind: n for kind, n in found.items() if n}

    def remove(self, gone: Sequence[Subject], /) -> None:
        """Delete files."""
        for root in self.roots.values():
            for file in list(_named_after(root, gone)):
                file.unlink(missing_ok=True)
            for left in root.glob("*/.*.part"):  # of a killed writer: it tells no key, but a text
                if time.time() - left.stat().st_mtime > LONGEST_WRITE_S:
                    left.unlink(missing_ok=True)


def _named_after(root: Path, gone: Sequence[Subject]) -> Iterator[Path]:
    keys = {s.subject for s in gone if s.content_sha256}
    return (f for f in root.glob("*/*") if f.name.partition(".")[0] in keys)  # keys have no dot


@dataclass(frozen=True)
class Log:
    """The committed objects, those of earlier versions too."""

    ledger: Ledger
    store: ObjectStore
    name: str = "log"

    def count(self, gone: Sequence[Subject], /) -> Mapping[str, int]:
        """Count objects that hold rows of them."""
        with self.ledger.reading() as conn:
            found = len(log_objects.objects_of(conn, [s.subject for s in gone]))
        return {"objects": found} if found else {}

    def remove(self, gone: Sequence[Subject], /) -> None:
        """Write these objects anew without them, and drop what killed processes were staging."""
        sweep_staged()
        rewrite_without(self.ledger, self.store, {s.subject for s in gone if s.subject})


@dataclass(frozen=True)
class Elsewhere:
    """A place whose own room knows how to forget: the published file, the marts, the search index."""

    name: str
    forget: Callable[[Collection[str]], object]
    """Is handed the keys of recordings and the ids of refused submissions."""

    def count(self, _gone: Sequence[Subject], /) -> Mapping[str, int]:
        """Count nothing: what a derived file holds went with the publish that hid it, and what is there may be new."""
        return {}

    def remove(self, gone: Sequence[Subject], /) -> None:
        """Have it forget."""
        self.forget({s.subject for s in gone if s.subject})


@dataclass(frozen=True)
class KnownExports:
    """What `diary export` made from this home and remembers; those that are missing are the receipt's to tell."""

    home: Path
    name: str = "exports"

    def count(self, _gone: Sequence[Subject], /) -> Mapping[str, int]:
        """Count nothing: only writing one anew tells what of them is in it."""
        return {}

    def remove(self, gone: Sequence[Subject], /) -> None:
        """Take them out of every export; those made of an erased person alone go whole.

        TransientError `erasure_incomplete` when one that is there could not be written anew; the others were.
        """
        subjects = {s.subject for s in gone if s.subject}
        owners = sorted({s.owner for s in gone if not s.subject})
        done = [] if owners else forget_recordings(self.home, subjects)
        for owner in owners:
            done += forget_user(self.home, owner, subjects)
        if held := sorted({f"{f.export.form} ({f.trouble})" for f in done if f.trouble}):
            raise TransientError(
                INCOMPLETE,
                f"What is to be erased is still in exports that could not be written anew: {', '.join(held)}; close "
                "them, or see that their folder can be written, and the next run goes on.",
            )


@dataclass(frozen=True)
class DagsterStorage:
    """Partitions, events, runs, backfills and ticks that name a recording."""

    partitions: Partitions
    name: str = "dagster"

    def count(self, gone: Sequence[Subject], /) -> Mapping[str, int]:
        """Count what names them."""
        return self.partitions.count(named(gone))

    def remove(self, gone: Sequence[Subject], /) -> None:
        """Wipe it."""
        self.partitions.forget(named(gone))


def named(gone: Sequence[Subject]) -> Named:
    """Say under which names something may stand in Dagster."""
    return Named(
        subjects=frozenset(s.subject for s in gone if s.subject),
        uris=frozenset(name for s in gone for name in s.names if "://" in name),
        owners=frozenset(s.owner for s in gone if not s.subject),
    )
