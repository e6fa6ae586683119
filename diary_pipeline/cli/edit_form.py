"""A recording as a form for a text editor, and what somebody changed in it.

Pure but for the one function that opens the editor. The surprise: an item whose line is gone is struck from the note,
while a segment whose line is gone stays as it is; speech is emptied by emptying its line.
"""

import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from diary_pipeline.core.errors import ServiceMissing, UsageError

if TYPE_CHECKING:
    from diary_pipeline.catalogue.corrections import Correctable
    from diary_pipeline.core.correction import Target
    from diary_pipeline.notes.edits import Edit

HEADER = """\
# Change what stands behind the colons, then save and leave. Lines with # are ignored.
# An item whose line you delete is struck from the note; a segment without words was not spoken.
"""
_TARGETS: Mapping[str, "Target"] = {"title": "title", "date": "note_date", "segment": "segment", "item": "item"}
_LINE = re.compile(r"(?P<what>title|date|segment|item)(?: (?P<number>\d+))?(?: \([^)]*\))?:(?P<text>.*)")


def numbered(said: str) -> tuple[int, str]:
    """Read `N=TEXT`."""
    number, equals, text = said.partition("=")
    if not equals or not number.strip().isdecimal():
        raise UsageError("edit_invalid", f"{said[:40]!r} is not N=TEXT: a number, an equals sign and the right words.")
    return int(number), text


def clock(seconds: float) -> str:
    """Write a time as minutes and seconds."""
    return f"{int(seconds) // 60:02}:{int(seconds) % 60:02}"


def edited_by_hand(there: "Correctable") -> "list[Edit]":
    """Open the form in $VISUAL or $EDITOR and return what was changed in it."""
    command = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.TemporaryDirectory(prefix="diary-edit-") as folder:  # 0700: it holds a diary
        path = Path(folder, "recording.txt")
        path.write_text(form(there), encoding="utf-8")
        try:
            ended = subprocess.run([*shlex.split(command), str(path)], check=False)
        except OSError as error:
            raise ServiceMissing("editor_missing", f"{command} cannot be started: set EDITOR.") from error
        if ended.returncode:
            raise UsageError("editor_failed", f"{command} ended with code {ended.returncode}; nothing was changed.")
        return changes(there, path.read_text(encoding="utf-8"))


def form(there: "Correctable") -> str:
    """Write what can be corrected, a line each."""
    lines = [HEADER]
    if there.note:
        lines += [f"title: {there.note.title}", f"date: {there.note.note_date}", ""]
        lines += [f"item {i.id} ({i.kind}, {clock(i.start_s)}): {i.text}" for i in there.note.items]
    spoken = [s for s in there.transcript.segments if s.kind != "silence"]
    lines += ["", *(f"segment {s.id} ({clock(s.start_s)}): {s.text}" for s in spoken)]
    return "\n".join(lines) + "\n"


def changes(there: "Correctable", text: str) -> "list[Edit]":
    """Give what differs between the form and what came back."""
    from diary_pipeline.notes.edits import Edit

    found = _read(text)
    before = _read(form(there))
    if unknown := sorted(place for place in found if place not in before):
        what, number = unknown[0]
        raise UsageError("edit_invalid", f"The form has no {what} {number}; nothing was changed.")
    changed = [place for place, said in found.items() if said != before[place]]
    struck = [number for what, number in before if what == "item" and (what, number) not in found]
    return [
        *(Edit(_TARGETS[what], found[what, number], number if number >= 0 else None) for what, number in changed),
        *(Edit("removed_item", number=number) for number in struck),
    ]


def _read(text: str) -> dict[tuple[str, int], str]:
    found: dict[tuple[str, int], str] = {}
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        told = _LINE.fullmatch(line)
        if told is None:
            raise UsageError("edit_invalid", "A line of the form begins with neither title, date, item nor segment.")
        found[told["what"], int(told["number"] or -1)] = " ".join(told["text"].split())
    return found
