"""What a vault remembers of itself, in `.diary-vault.json`: which page is whose, and how far it is.

So that an export looks at what changed, and an erasure finds what names a recording without any catalogue. The pages
themselves say whose they are too: without this file they are read once, and keep their names.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from diary_pipeline.storage.private import write_private
from diary_pipeline.upkeep.vault.blocks import key_of
from diary_pipeline.upkeep.vault.folder import VaultFolder
from diary_pipeline.upkeep.vault.names import PROPOSAL
from diary_pipeline.upkeep.vault.pages import FOLDERS, Listed

FILE = ".diary-vault.json"
FORM = 1
"""Of the pages; another one writes all of them anew."""


@dataclass(frozen=True)
class Remembered:
    """A note that is in the vault."""

    listed: Listed
    hubs: tuple[str, ...]
    """Keys of the pages that list it: people, places, topics, its day."""


@dataclass
class Memory:
    """Everything that is remembered."""

    made_for: str = ""
    """Selection, options and form; when they change, all pages are looked at."""
    watermark: int = 0
    notes: dict[str, Remembered] = field(default_factory=dict)
    pages: dict[str, str] = field(default_factory=dict)
    """Path by key of the block."""
    names: dict[str, str] = field(default_factory=dict)
    """What a page of people, places, topics or a day is called, by its key."""
    conflicts: dict[str, str | None] = field(default_factory=dict)
    """Pages that were edited by hand -> the page with the newer text; None: its recording is gone."""

    def listing(self) -> dict[str, list[Listed]]:
        """Give the notes of each page that lists some."""
        found: dict[str, list[Listed]] = {}
        for note in self.notes.values():
            for hub in note.hubs:
                found.setdefault(hub, []).append(note.listed)
        return found

    def key_at(self, path: str) -> str | None:
        """Return whose page lies there."""
        return next((key for key, page in self.pages.items() if page == path), None)


def recall(folder: VaultFolder) -> Memory:
    """Read what a vault remembers; where that is lost, ask its pages whose they are."""
    try:
        told = json.loads((folder.root / FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return Memory(pages=dict(_claimed(folder)))
    notes = {key: Remembered(Listed(**said["listed"]), tuple(said["hubs"])) for key, said in told.pop("notes").items()}
    return Memory(**told, notes=notes)


def remember(root: Path, memory: Memory) -> None:
    """Write it down."""
    write_private(root / FILE, json.dumps(asdict(memory), ensure_ascii=False).encode())


def _claimed(folder: VaultFolder) -> Iterator[tuple[str, str]]:
    for page in folder.pages(FOLDERS):
        if not page.endswith(PROPOSAL) and (key := key_of(folder.read(page) or "")):
            yield key, page
