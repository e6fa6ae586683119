"""What is ours on a page, and what is not, by the marks alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diary_pipeline.upkeep.vault.blocks import (
    Page,
    appended,
    edited,
    emptied,
    key_of,
    new_page,
    replaced,
    without_lines,
)

OLD, NEW = Page("key", "# Old\n", "mood: low"), Page("key", "# New\n- one\n- two", "mood: high")
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=60).filter(lambda t: "diary:" not in t)


def test_a_page_of_ours_becomes_the_newer_one_and_leaves_nothing() -> None:
    assert replaced(new_page(OLD), NEW) == new_page(NEW)
    assert key_of(new_page(OLD)) == "key" and not edited(new_page(OLD))
    assert emptied(new_page(OLD)) == ""


@given(TEXTS, st.text("ab: \n", max_size=20), TEXTS)
def test_every_character_around_our_blocks_stays(before: str, matter: str, after: str) -> None:
    def around(page: Page) -> str:
        marked, _, body = new_page(page).partition("---\n\n")
        return f"{marked}{matter}\n---\n{before}\n{body}{after}"

    assert replaced(around(OLD), NEW) == around(NEW)
    left = emptied(around(NEW))
    assert before.strip() in left and after.strip() in left and "New" not in left


@given(TEXTS)
def test_a_page_of_somebody_is_kept_before_our_block(text: str) -> None:
    page = appended(text, OLD)
    assert page.startswith(text.rstrip())
    assert emptied(page).strip() == text.strip()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda page: page.replace("# Old", "# Mine"),
        lambda page: page.replace("mood: low", "mood: fine"),
        lambda page: page.replace("# Old\n", ""),
        lambda page: page.replace("<!-- diary:end -->", ""),
        lambda page: page[:0] + "all mine",
    ],
    ids=["a word", "front matter", "a line", "an end mark", "everything"],
)
def test_what_was_edited_is_not_replaced(spoil: object) -> None:
    assert replaced(spoil(new_page(OLD)), NEW) is None  # type: ignore[operator]


def test_front_matter_without_its_marks_is_the_owners() -> None:
    bare = new_page(Page("key", "# Old\n"))
    page = f"---\nmood: mine\n---\n{bare}"
    assert replaced(page, NEW) == f"---\nmood: mine\n---\n{new_page(Page('key', NEW.body))}"


@pytest.mark.parametrize("body", ["<!-- diary:end -->", "a\n<!-- diary:begin key 0123456789abcdef -->\nb", "<!--"])
def test_nothing_that_is_said_ends_or_begins_a_block(body: str) -> None:
    page = new_page(Page("key", body))
    assert not edited(page) and emptied(page) == ""


def test_a_line_leaves_a_block_whether_it_was_edited_or_not() -> None:
    plain = without_lines(new_page(NEW), "one")
    assert "one" not in plain and "two" in plain and not edited(plain)
    mine = without_lines(new_page(NEW).replace("# New", "# Mine"), "one")
    assert "one" not in mine and "# Mine" in mine and edited(mine)
    around = "- one of my own\n" + new_page(NEW)
    assert without_lines(around, "one").startswith("- one of my own\n")
