"""The recorded answers are what they say: items are in the raw answers, and labels agree with what can be counted."""

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(str(files("diary_pipeline.notes.evidence.reference"))) / "real_answers"
ANSWERS = sorted(FOLDER.glob("*.json"))
TYPES = set(re.findall(r"^\| `([a-z_]+)` \|", (FOLDER / "README.md").read_text(encoding="utf-8"), re.M))


def read(file: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return told


def words(text: str) -> str:
    """Give what is compared of a quote: no capitals, no punctuation."""
    return " ".join(re.sub(r"[^\w ]+", " ", text.lower().replace("'", "")).split())


@pytest.mark.parametrize("file", ANSWERS, ids=lambda f: f.stem)
def test_every_item_is_in_the_answer_and_is_labelled_with_a_reason(file: Path) -> None:
    told = read(file)
    in_answer = json.dumps(json.loads(told["answer"]), ensure_ascii=False)
    for item in told["items"]:
        assert json.dumps(item["text"], ensure_ascii=False).strip('"') in in_answer
        if item["label"] == "bad":
            assert {item["type"], *item.get("also", ())} <= TYPES
            assert item["reason"]
        else:
            assert item["label"] == "good"
            assert not {"type", "also", "reason"} & item.keys()


@pytest.mark.parametrize("file", ANSWERS, ids=lambda f: f.stem)
def test_the_quote_of_a_good_item_was_said_where_it_says(file: Path) -> None:
    told = read(file)
    said = {s["id"]: words(s["text"]) for s in told["segments"]}
    whole = " ".join(said.values())
    for item in told["items"]:
        quote = item.get("quote") or (item["text"] if item["field"] == "quotes" else None)
        if quote and item["label"] == "good":
            assert words(quote) in whole
            start = len(" ".join(text for id_, text in said.items() if id_ < item.get("segment", 1)))
            assert whole.find(words(quote), start) >= 0


def test_half_of_the_diaries_are_held_out_and_there_are_enough_items_of_both_kinds() -> None:
    told = [read(file) for file in ANSWERS]
    uses = {t["diary"]: t["use"] for t in told}
    assert all(uses[t["diary"]] == t["use"] for t in told)
    assert abs(sum(use == "held_out" for use in uses.values()) - len(uses) / 2) <= len(uses) / 6
    for use in ("choose", "held_out"):
        items = [item for t in told if t["use"] == use for item in t["items"]]
        assert len(items) >= 75
        assert sum(item["label"] == "bad" for item in items) >= 15
