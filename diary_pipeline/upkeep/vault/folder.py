"""The vault's files: pages by their path below the root, never anything outside it.

What surprises: somebody may have put a symbolic link into the vault. A page or folder that is one is refused, not
followed, so nothing is ever read or written elsewhere.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from diary_pipeline.core.errors import UsageError


class VaultFolder:
    """Pages of one vault; the root itself may be a link, as that is what its owner named."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._known: set[str] = set()

    def read(self, page: str) -> str | None:
        """Return a page; None: there is none."""
        try:
            return self._path(page).read_text(encoding="utf-8", errors="surrogateescape")
        except FileNotFoundError:
            return None

    def write(self, page: str, text: str) -> None:
        """Write a page whole; private to its owner (0600, new folders 0700)."""
        path = self._path(page, making=True)
        handle, part = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
                file.write(text)
            Path(part).replace(path)
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise

    def delete(self, page: str) -> None:
        """Remove a page; nothing happens when it is absent."""
        self._path(page).unlink(missing_ok=True)

    def exists(self, page: str) -> bool:
        """Tell whether anything lies there."""
        return os.path.lexists(self._path(page))

    def pages(self, folders: tuple[str, ...]) -> Iterator[str]:
        """Give the Markdown files of some folders."""
        for folder in folders:
            if (self.root / folder).is_dir() and not (self.root / folder).is_symlink():
                names = sorted(path.name for path in (self.root / folder).iterdir())
                yield from (f"{folder}/{name}" for name in names if name.endswith(".md"))

    def _path(self, page: str, making: bool = False) -> Path:
        folder, _, name = page.rpartition("/")
        if name in ("", ".", "..") or folder in (".", "..") or "/" in folder or "\\" in page or "\0" in page:
            raise UsageError("vault_path_invalid", "A page of the vault has no such name; export into a new folder.")
        place = self.root / folder
        if folder not in self._known:
            if making:
                self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
                place.mkdir(mode=0o700, exist_ok=True)
            if place.is_symlink():
                raise UsageError("vault_link", f"{place} is a link out of the vault: make it a folder, then try again.")
            if place.is_dir():
                self._known.add(folder)
        path = place / name
        if path.is_symlink():
            raise UsageError("vault_link", f"{path} is a link out of the vault: remove it, then try again.")
        return path
