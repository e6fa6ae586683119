"""docs/troubles.md names every code that a recording can end with, and none that there is not."""

import ast
import re

from diary_pipeline_tests.house.tree import ROOT, parsed, product_files, shown

ERRORS = {"AudioRefused", "PermanentError", "TransientError", "ServiceMissing", "Failed", "_NotNow", "AudioGoing"}
STAGES = (
    *("audio/probe", "audio/soundness", "intake/near", "intake/receive", "intake/fetch", "intake/guarded_http"),
    *("transcription/batch", "transcription/devices", "transcription/server", "transcription/whisper", "notes/batch"),
    *("storage/bucket", "storage/folder", "ledger/acceptance", "defs/recovery"),
)
"""Where what a recording meets on its way is raised."""


def _page() -> set[str]:
    text = (ROOT / "docs" / "troubles.md").read_text(encoding="utf-8")
    firsts = re.findall(r"^\| (`[^|]+) \|", text, re.MULTILINE)
    return {code for cell in firsts for code in re.findall(r"`([a-z_]+)`", cell)}


def _raised() -> set[str]:
    found = set()
    for file in product_files():
        if shown(file).removeprefix("diary_pipeline/").startswith(STAGES):
            for node in ast.walk(parsed(file)):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ERRORS:
                    found |= {a.value for a in node.args if isinstance(a, ast.Constant) and _is_code(a.value)}
    return found


def _is_code(value: object) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"[a-z]+(_[a-z]+)+", value))


def test_every_code_that_a_recording_can_end_with_is_explained() -> None:
    assert not _raised() - _page()


def test_every_code_on_the_page_stands_in_the_code() -> None:
    said = {
        node.value
        for file in product_files()
        for node in ast.walk(parsed(file))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert not _page() - said
