"""Bringing a vault up to what is published, and taking erased recordings out of it.

What stands on a page is pages.py's business, which part of a file is ours blocks.py's. Only pages that a change
concerns are read and written, so doing it again costs what changed.

What surprises: a page that somebody edited inside our block is left as it is; the newer text lies beside it as
`<name>.diary-new.md` until one of the two is gone. Only lines that link to a vanished note leave such a page, and an
erasure takes the whole block.
"""

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from diary_pipeline.catalogue.snapshot import NoteFacts, Snapshot
from diary_pipeline.ledger.identity import course_of
from diary_pipeline.upkeep.vault import blocks
from diary_pipeline.upkeep.vault.folder import VaultFolder
from diary_pipeline.upkeep.vault.memory import FILE, FORM, Memory, Remembered, recall, remember
from diary_pipeline.upkeep.vault.names import beside, free, safe
from diary_pipeline.upkeep.vault.pages import (
    DAYS,
    HUBS,
    NOTES,
    TRANSCRIPTS,
    day_page,
    hub_page,
    listed,
    note_page,
    transcript_page,
)

WORDS, DAY = "words/", "day/"
LISTING = frozenset({"day", *(folder.lower() for folder in HUBS.values())})
"""What keys of pages that list notes begin with."""
ERASED = "Erased note"
"""What a page is called on which only the owner's words are left."""


@dataclass
class Written:
    """What an export into a vault did."""

    notes: int = 0
    """Notes that were looked at, because they are new or changed."""
    written: int = 0
    removed: int = 0
    conflicts: int = 0
    """Pages edited by hand, this time or before."""


def is_vault(root: Path) -> bool:
    """Tell whether we have written into this folder before."""
    if not root.is_dir():
        return False
    # A lock alone is what a command leaves that was killed before its first page.
    begun = [path.name for path in root.iterdir()] == [f"{FILE}.lock"]
    return begun or (root / FILE).is_file() or bool(recall(VaultFolder(root)).pages)


class Vault:
    """One folder. Two exports into it take turns."""

    def __init__(self, root: Path) -> None:
        self.folder = VaultFolder(root)
        self.memory = Memory()
        self.done = Written()
        self._taken: set[str] = set()

    def update(
        self, source: Snapshot, *, transcripts: bool = True, on_note: Callable[[int, int], None] = lambda *_: None
    ) -> Written:
        """Write what is new, changed or gone in the source; `on_note` hears how many of how many notes are done."""
        with self._alone():
            keys = source.keys()
            made_for = f"{FORM} {transcripts} {source.selection}"
            then, there = self.memory.watermark, source.watermark
            # A catalogue behind the vault, or of another course, was restored from a backup: nobody knows what differs.
            follows = self.memory.made_for == made_for and then <= there and course_of(then) == course_of(there)
            changed = self._changed(source, keys) if follows else keys
            ours = {key for key in self.memory.pages if "/" not in key}
            touched = self._vanish((ours | self.memory.notes.keys()) - keys, erased=False)
            for number, note in enumerate(source.notes(changed), start=1):
                touched |= self._write_note(note, transcripts)
                on_note(number, len(changed))
            self._write_hubs(touched | self._unsettled_hubs())
            self.memory.made_for, self.memory.watermark = made_for, there
            self.done.notes = len(changed)
        return self.done

    def remove(self, subjects: Collection[str]) -> int:
        """Take erased recordings out of every page, whatever was edited there; return how many pages that were."""
        if not is_vault(self.folder.root):
            return 0
        with self._alone():
            self._write_hubs(self._vanish(subjects, erased=True), erased=True)
        return self.done.removed

    def abandon(self) -> None:
        """Forget that this was a vault of ours; what is left in it is its owner's."""
        for name in (FILE, f"{FILE}.lock"):
            (self.folder.root / name).unlink(missing_ok=True)

    def conflicts(self) -> list[tuple[Path, Path | None]]:
        """List pages that were edited by hand, each with the newer text beside it; None: its recording is gone."""
        known = recall(self.folder).conflicts.items()
        standing = ((page, new) for page, new in known if self.folder.exists(new or page))
        return [(self.folder.root / page, self.folder.root / new if new else None) for page, new in standing]

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        root = self.folder.root
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(root / f"{FILE}.lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.memory, self.done = recall(self.folder), Written()
            self._taken = {path.casefold() for path in self.memory.pages.values()}
            yield
            self.done.conflicts = len(self.memory.conflicts)
            remember(root, self.memory)
        finally:
            os.close(lock)

    def _changed(self, source: Snapshot, keys: set[str]) -> set[str]:
        pages = self.memory.pages
        lost = {key for key, path in pages.items() if key in keys and not self.folder.exists(path)}
        lost |= {
            key[len(WORDS) :] for key, path in pages.items() if key.startswith(WORDS) and not self.folder.exists(path)
        }
        unsettled = {key.removeprefix(WORDS) for key in self._unsettled()}
        return (
            source.changed_since(self.memory.watermark) | lost | unsettled | (keys - self.memory.notes.keys())
        ) & keys

    def _unsettled(self) -> Iterator[str]:
        """Give whose pages are in conflict; where the newer text was thrown away, the owner has settled it."""
        for page, new in list(self.memory.conflicts.items()):
            key = self.memory.key_at(page)
            if new is not None and not self.folder.exists(new) and blocks.edited(self.folder.read(page) or ""):
                del self.memory.conflicts[page]
            elif key:
                yield key

    def _unsettled_hubs(self) -> set[str]:
        hubs = {key for key in self._unsettled() if key in self.memory.names}
        return hubs | {key for key in self.memory.names if not self.folder.exists(self.memory.pages[key])}

    def _write_note(self, note: NoteFacts, transcripts: bool) -> set[str]:
        """Write the pages of a note, and return the pages that list it otherwise than before."""
        page = self._place(note.key, NOTES, safe(f"{note.day} {note.title}"))
        named = {
            folder: list(dict.fromkeys(self._hub(folder, c.text) for c in note.claims if c.kind == kind))
            for kind, folder in HUBS.items()
        }
        day = self._named(f"{DAY}{note.day}", DAYS, str(note.day))
        now = Remembered(
            listed(note, page), tuple(dict.fromkeys((day, *(hub for some in named.values() for hub in some))))
        )
        before = self.memory.notes.get(note.key)
        self.memory.notes[note.key] = now
        paths = self.memory.pages
        words = self._place(f"{WORDS}{note.key}", TRANSCRIPTS, page[len(NOTES) + 1 : -3]) if transcripts else None
        hubs = {folder: [paths[hub] for hub in some] for folder, some in named.items()}
        self._write(page, note_page(note, hubs, paths[day], words))
        if words:
            self._write(words, transcript_page(note, page))
        else:
            self._leave(f"{WORDS}{note.key}", erased=False)
        if before == now:
            return set()
        return {*now.hubs, *(before.hubs if before else ())}

    def _hub(self, folder: str, name: str) -> str:
        """Return the key of the page of a person, place or topic; capitals and odd characters make no second one."""
        digest = hashlib.sha256(safe(name).casefold().encode()).hexdigest()[:12]
        return self._named(f"{folder.lower()}/{digest}", folder, name)

    def _named(self, key: str, folder: str, name: str) -> str:
        self.memory.names.setdefault(key, name)
        if key not in self.memory.pages:
            path = self.memory.pages[key] = f"{folder}/{safe(name)}.md"
            existing = self.folder.read(path)
            if existing is not None and blocks.key_of(existing) is None:  # somebody has such a page already
                listing = blocks.Page(key, f"# {name}")
                self.folder.write(path, blocks.appended(existing, listing))
        return key

    def _place(self, key: str, folder: str, name: str) -> str:
        """Return where a page lies; it keeps its first name, so that links to it stay."""
        if key not in self.memory.pages:
            path = free(folder, name, self._taken)
            while (existing := self.folder.read(path)) is not None and blocks.key_of(existing) != key:
                self._taken.add(path.casefold())  # somebody else's page
                path = free(folder, name, self._taken)
            self.memory.pages[key] = path
            self._taken.add(path.casefold())
        return self.memory.pages[key]

    def _unnamed(self, path: str) -> str:
        """Return a free place for what its owner wrote on the page of an erased note."""
        folder = path.partition("/")[0]
        while self.folder.exists(place := free(folder, ERASED, self._taken)):
            self._taken.add(place.casefold())
        return place

    def _write_hubs(self, touched: Iterable[str], *, erased: bool = False) -> None:
        listing = self.memory.listing()
        for key in sorted(touched):
            if not (notes := listing.get(key)):
                self._leave(key, erased=erased)
                self.memory.names.pop(key, None)
                continue
            name = self.memory.names[key]
            page = day_page(key, name, notes) if key.startswith(DAY) else hub_page(key, name, notes)
            self._write(self.memory.pages[key], page)

    def _write(self, path: str, page: blocks.Page) -> None:
        existing = self.folder.read(path)
        text = blocks.new_page(page) if existing is None else blocks.replaced(existing, page)
        if text is None:
            self._propose(path, page)
            return
        if text != existing:
            self.folder.write(path, text)
            self.done.written += 1
        if new := self.memory.conflicts.pop(path, None):
            self.folder.delete(new)

    def _propose(self, path: str, page: blocks.Page) -> None:
        new = beside(path)
        lying = self.folder.read(new)
        if (lying is None or not blocks.edited(lying)) and lying != (text := blocks.new_page(page)):
            self.folder.write(new, text)
            self.done.written += 1
        self.memory.conflicts[path] = new

    def _vanish(self, gone: Collection[str], *, erased: bool) -> set[str]:
        """Take notes out, with every line that links to them; return the pages that listed them."""
        touched: set[str] = set()
        for key in sorted(gone):
            before = self.memory.notes.pop(key, None)
            hubs = before.hubs if before else [hub for hub in self.memory.pages if hub.partition("/")[0] in LISTING]
            if page := before.listed.page if before else self.memory.pages.get(key):
                for hub in hubs:
                    self._scrub(hub, page)
            touched |= set(before.hubs if before else ())
            for block in (key, f"{WORDS}{key}"):
                self._leave(block, erased=erased)
        return touched

    def _scrub(self, hub: str, page: str) -> None:
        path = self.memory.pages[hub]
        for file in (path, beside(path)):
            text = self.folder.read(file) or ""
            left = blocks.without_lines(text, f"[[{page.removesuffix('.md')}|")
            if left != text:
                self.folder.write(file, left)

    def _leave(self, key: str, *, erased: bool) -> None:
        """Take our blocks out of a page; the page goes when nothing else is on it."""
        path = self.memory.pages.get(key)
        if path is None:
            return
        text = self.folder.read(path)
        if text is not None and blocks.edited(text) and not erased:
            self.memory.conflicts[path] = None
            return
        if text is not None:
            left = blocks.emptied(text)
            titled = erased and path.partition("/")[0] in (NOTES, TRANSCRIPTS)
            if titled or not left:  # the title of an erased note stands in its page's name, too
                self.folder.delete(path)
            if left:
                self.folder.write(self._unnamed(path) if titled else path, left)
            self.done.removed += 1
        del self.memory.pages[key]
        self.memory.conflicts.pop(path, None)
        self.folder.delete(beside(path))
