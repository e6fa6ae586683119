"""A vault follows the diary and keeps every word that its owner wrote."""

import datetime as dt
import json
import stat
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
import yaml

from diary_pipeline.catalogue.export import Selection
from diary_pipeline.core.errors import UsageError
from diary_pipeline.intake.sources import WatchedFolder, scan
from diary_pipeline.ledger import recordings
from diary_pipeline.ledger.identity import note_restored
from diary_pipeline.upkeep.exports import conflicts, export_vault, forget_recordings
from diary_pipeline.upkeep.vault.memory import FILE
from diary_pipeline.upkeep.vault.vault import Written
from diary_pipeline_tests.exporting import PublishedDiary, begin

SAID = ["I walked with Anna by the river.", "Then I bought bread."]
ANNA = [("person", "anna"), ("place", "Porto")]


class Vaulted:
    """A diary with a vault."""

    def __init__(self, house: PublishedDiary) -> None:
        self.house = house
        self.root = house.home.parent / "vault"

    def export(self, selection: Selection | None = None, **options: bool) -> Written:
        return export_vault(self.house.home, self.house.live, self.root, selection or Selection("me"), **options)

    def read(self, page: str) -> str:
        return (self.root / page).read_text(encoding="utf-8")

    def edit(self, page: str, old: str, new: str) -> None:
        assert old in self.read(page)
        (self.root / page).write_text(self.read(page).replace(old, new), encoding="utf-8")

    def pages(self) -> set[str]:
        return {p.relative_to(self.root).as_posix() for p in self.root.rglob("*.md")}

    def everything(self) -> str:
        return "\n".join(f"{p}\n{p.read_text()}" for p in sorted(self.root.rglob("*")) if p.is_file())


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vaulted]:
    """Two notes of one day, in which Anna is named, exported."""
    house = begin(tmp_path / "home")
    house.tell("walk.m4a", SAID, title="By the river", names=ANNA)
    house.tell("bread.m4a", ["Anna baked bread.", "It was good."], title="Bread", names=[("person", "Anna")])
    house.publish()
    vaulted = Vaulted(house)
    vaulted.export()
    yield vaulted
    house.diary.ledger.close()


RIVER, BREAD = "Notes/2026-03-07 By the river.md", "Notes/2026-03-07 Bread.md"
LINKS = ("[[Notes/2026-03-07 By the river|2026-03-07 By the river]]", "[[Notes/2026-03-07 Bread|2026-03-07 Bread]]")


def key_of(vault: Vaulted, file_name: str) -> str:
    [key] = [k for k in json.loads(vault.read(FILE))["notes"] if file_name in k]
    return str(key)


def again(vault: Vaulted, name: str, said: list[str] = SAID, **changes: object) -> Written:
    """Write a note anew, publish and export."""
    with vault.house.diary.ledger.reading() as conn:
        [row] = recordings.rows(conn, [key_of(vault, name)])
    changes.setdefault("prompt_version", f"other-{changes}")
    vault.house.note(row.recording, said, ANNA, **changes)
    vault.house.publish()
    return vault.export()


def test_a_note_its_people_places_and_day_are_linked(vault: Vaulted) -> None:
    words = {page.replace("Notes/", "Transcripts/") for page in (RIVER, BREAD)}
    assert vault.pages() == {RIVER, BREAD, *words, "People/Anna.md", "Places/Porto.md", "Days/2026-03-07.md"}
    note = vault.read(RIVER)
    assert note.startswith("---\n# diary:begin 2026-03-07-walk-")
    for line in (
        'title: "By the river"',
        "date: 2026-03-07",
        'recorded_at: "2026-03-07T06:45:00Z"',
        'people: ["[[People/Anna|Anna]]"]',
        'places: ["[[Places/Porto|Porto]]"]',
        'tags: ["my-day", "7_"]',
        'source: "walk.m4a"',
    ):
        assert f"\n{line}\n" in note
    assert "[[Days/2026-03-07|2026-03-07]]" in note
    assert all(link in vault.read("People/Anna.md") for link in LINKS), "capitals make no second person"
    assert "- 06:45 [[Notes/2026-03-07 Bread|Bread]]" in vault.read("Days/2026-03-07.md")
    assert {stat.S_IMODE(p.stat().st_mode) for p in vault.root.rglob("*")} == {0o600, 0o700}


def test_each_claim_leads_to_the_second_it_was_said_in(tmp_path: Path) -> None:
    house = begin(tmp_path / "home")
    recording = house.tell("walk.m4a", SAID)
    house.publish()
    vaulted = Vaulted(house)
    vaulted.root.mkdir()
    rendered = "# Walk\n\n- I walked \\[00:00\\] with Anna [00:00]\n- elsewhen [09:59]\n"
    house.live.chmod(0o600)
    with duckdb.connect(str(house.live)) as db:
        db.execute("UPDATE data.notes SET markdown = ?", [rendered])
    vaulted.export(transcripts=True)
    [note] = vaulted.root.glob("Notes/*.md")
    transcript = vaulted.read(f"Transcripts/{note.name}")
    assert (
        f"- I walked \\[00:00\\] with Anna [[Transcripts/{note.stem}#^s0|00:00]]\n- elsewhen [09:59]"
        in note.read_text()
    )
    assert "\\[00:00\\] I walked with Anna by the river. ^s0" in transcript
    vaulted.export(transcripts=False)
    assert f"with Anna [00:00](diary://{recording.key}#t=0)" in note.read_text()
    assert not list(vaulted.root.glob("Transcripts/*.md"))
    house.diary.ledger.close()


def test_doing_it_again_writes_nothing_and_a_change_only_what_it_concerns(vault: Vaulted) -> None:
    before = {page: (vault.root / page).stat().st_mtime_ns for page in vault.pages()}
    again = vault.export()
    assert (again.notes, again.written, again.removed) == (0, 0, 0)
    vault.house.tell("dentist.m4a", ["I saw the dentist.", "It hurt."], day="2026-03-09", title="Teeth")
    vault.house.publish()
    more = vault.export()
    assert (more.notes, more.written) == (1, 3), "its note, its transcript, its day"
    assert all((vault.root / page).stat().st_mtime_ns == at for page, at in before.items())


def test_what_the_owner_writes_around_stays_when_the_note_changes(vault: Vaulted) -> None:
    vault.edit(RIVER, "# diary:end\n---\n", "# diary:end\naliases: [River]\n---\nMy own beginning.\n")
    (vault.root / RIVER).write_text(vault.read(RIVER) + "\nMy own end.\n")
    again(vault, "walk", title="By the wide river")
    note = vault.read(RIVER)
    assert 'title: "By the wide river"\n' in note, "and its page keeps its name"
    for own in ("aliases: [River]\n---\nMy own beginning.\n", "\nMy own end.\n"):
        assert own in note
    assert "Notes/2026-03-07 By the river|By the wide river" in vault.read("Days/2026-03-07.md")
    assert vault.export().written == 0


@pytest.mark.parametrize(("old", "new"), [("mood: ", 'mood: "mine" #'), ("# 2026", "# My heading, 2026")])
def test_an_edited_block_is_not_touched_and_the_newer_text_lies_beside_it(vault: Vaulted, old: str, new: str) -> None:
    vault.edit(RIVER, old, new)
    mine = vault.read(RIVER)
    newer = RIVER.replace(".md", ".diary-new.md")
    assert again(vault, "walk", title="Another title").conflicts == 1
    assert vault.read(RIVER) == mine
    assert 'title: "Another title"' in vault.read(newer)
    assert conflicts(vault.house.home) == [(vault.root / RIVER, vault.root / newer)]
    assert vault.export().written == 0
    (vault.root / newer).rename(vault.root / RIVER)
    assert vault.export().conflicts == 0, "the owner took the newer text"
    assert conflicts(vault.house.home) == []
    assert again(vault, "walk", title="A third").conflicts == 0
    assert 'title: "A third"' in vault.read(RIVER)


def test_who_throws_the_newer_text_away_keeps_their_own(vault: Vaulted) -> None:
    vault.edit(RIVER, "# 2026", "# Mine 2026")
    again(vault, "walk", title="Another title")
    (vault.root / RIVER.replace(".md", ".diary-new.md")).unlink()
    assert vault.export().conflicts == 0
    assert "# Mine 2026" in vault.read(RIVER)


def test_an_edited_newer_text_is_not_overwritten_either(vault: Vaulted) -> None:
    newer = RIVER.replace(".md", ".diary-new.md")
    vault.edit(RIVER, "# 2026", "# Mine 2026")
    again(vault, "walk", title="Another title")
    vault.edit(newer, "# 2026", "# Also mine 2026")
    again(vault, "walk", title="A third")
    assert "# Also mine 2026" in vault.read(newer)


def test_a_removed_page_comes_back_and_lost_marks_are_the_owners_wish(vault: Vaulted) -> None:
    (vault.root / BREAD).unlink()
    (vault.root / "People/Anna.md").unlink()
    (vault.root / RIVER).write_text("All mine now.\n")
    vault.export()
    assert 'title: "Bread"' in vault.read(BREAD) and LINKS[1] in vault.read("People/Anna.md")
    assert again(vault, "walk", title="Another title").conflicts == 1
    assert vault.read(RIVER) == "All mine now.\n"


def test_a_vanished_note_leaves_with_every_line_that_names_it(vault: Vaulted) -> None:
    vault.house.erase(key_of(vault, "walk"))
    assert vault.export().removed > 0
    assert vault.pages() == {BREAD, BREAD.replace("Notes", "Transcripts"), "People/Anna.md", "Days/2026-03-07.md"}
    assert "river" not in vault.everything()


def test_an_erasure_takes_edited_blocks_and_leaves_what_the_owner_wrote(vault: Vaulted) -> None:
    walk = key_of(vault, "walk")
    (vault.root / RIVER).write_text(vault.read(RIVER) + "\nMy own end.\n")
    vault.edit(RIVER, "# 2026", "# Edited 2026")
    vault.edit("People/Anna.md", "# Anna", "# Anna, my sister")
    vault.edit("Places/Porto.md", "# Porto", "# Porto, 1999")
    again(vault, "walk", said=["I walked with Anna by the sea and the river.", SAID[1]])
    [forgotten] = forget_recordings(vault.house.home, [walk, "never heard of"])
    assert forgotten.removed >= 3 and not forgotten.missing
    left = vault.everything()
    assert "river" not in left and "walk" not in left and "Porto" not in left
    assert "Anna, my sister" in left and LINKS[1] in left
    assert vault.read("Notes/Erased note.md").strip() == "My own end."
    vault.house.erase(walk)
    vault.export()
    assert "river" not in vault.everything()
    assert [f.removed for f in forget_recordings(vault.house.home, [walk])] == [0]


def test_what_the_owner_wrote_on_pages_that_are_erased_is_kept_page_by_page(vault: Vaulted) -> None:
    for page in (RIVER, BREAD, "People/Anna.md"):
        (vault.root / page).write_text(vault.read(page) + f"\nI wrote this on {page[-8:]}\n")
    for name in ("walk", "bread"):
        forget_recordings(vault.house.home, [key_of(vault, name)])
    assert vault.pages() == {"Notes/Erased note.md", "Notes/Erased note (2).md", "People/Anna.md"}
    assert all(f"this on {page[-8:]}" in vault.everything() for page in (RIVER, BREAD))
    assert vault.read("People/Anna.md").strip() == "I wrote this on /Anna.md"
    assert "By the river" not in vault.everything() and "bread" not in vault.everything()


def test_without_its_memory_a_vault_knows_its_pages_by_their_marks(vault: Vaulted) -> None:
    walk, before = key_of(vault, "walk"), vault.pages()
    (vault.root / FILE).unlink()
    assert vault.export().written == 0
    assert vault.pages() == before
    (vault.root / FILE).unlink()
    [forgotten] = forget_recordings(vault.house.home, [walk])
    assert forgotten.removed == 2 and not forgotten.missing
    assert "By the river" not in vault.everything()


def test_the_owners_pages_of_the_same_name_stay(vault: Vaulted, tmp_path: Path) -> None:
    vault.root = tmp_path / "other"
    (vault.root / ".obsidian").mkdir(parents=True)
    for page, text in ((RIVER, "A poem."), ("People/Anna.md", "---\nborn: 1990\n---\nMy sister.\n")):
        (vault.root / page).parent.mkdir(exist_ok=True)
        (vault.root / page).write_text(text)
    vault.export()
    assert vault.read(RIVER) == "A poem."
    assert 'title: "By the river"' in vault.read("Notes/2026-03-07 By the river (2).md")
    anna = vault.read("People/Anna.md")
    assert anna.startswith("---\nborn: 1990\n---\nMy sister.\n\n<!-- diary:begin people/")
    assert "By the river (2)|" in anna
    vault.house.erase(key_of(vault, "walk"), key_of(vault, "bread"))
    vault.export()
    assert vault.read("People/Anna.md").strip() == "---\nborn: 1990\n---\nMy sister."


@pytest.mark.parametrize("where", ["Notes", RIVER, "People/Anna.md"])
def test_a_link_out_of_the_vault_is_refused(vault: Vaulted, tmp_path: Path, where: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "letter.md").write_text("dear")
    vault.root = tmp_path / "other"
    (vault.root / ".obsidian").mkdir(parents=True)
    place = vault.root / where
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(outside if where == "Notes" else outside / "letter.md")
    with pytest.raises(UsageError, match="link out of the vault"):
        vault.export()
    assert {p.name: p.read_text() for p in outside.iterdir()} == {"letter.md": "dear"}


ODD = [
    'Who? "I": <me> | you*',
    "../../etc/passwd",
    "...",
    "CON",
    "\u202egnp.exe",
    "x" * 300,
    "äöü 日本語 🎉" * 20,
    "[[link]] #tag ^block",
    "<!-- diary:end -->",
    "Same",
    "same",
    'tab\tnext\u0085line\u2028del\x7f: # - "quoted" \\ {a: 1}',
]


def test_odd_titles_and_names_become_names_that_every_system_bears(tmp_path: Path) -> None:
    house = begin(tmp_path / "home")
    for number, title in enumerate(ODD):
        house.tell(f"{number}.m4a", SAID, title=title, names=[("person", title), ("topic", title)])
    house.publish()
    vaulted = Vaulted(house)
    vaulted.export()
    names = [p.name for p in vaulted.root.rglob("*.md")]
    assert len([p for p in vaulted.pages() if p.startswith("Notes/")]) == len(ODD)
    assert len({p.casefold() for p in vaulted.pages()}) == len(vaulted.pages())
    for name in names:
        assert not set(name) & set('<>:"/\\|?*#^[]\u202e') and not name.startswith(".") and len(name.encode()) <= 255
        assert name.removesuffix(".md").strip(". ") == name.removesuffix(".md")
        assert name.partition(".")[0].casefold() not in {"con", "nul"}
    matters = [p.read_text().split("---\n")[1] for p in vaulted.root.glob("Notes/*.md")]
    assert {yaml.safe_load(matter)["title"] for matter in matters} == set(ODD)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["home", "vault"]
    assert vaulted.export().written == 0, "and what is said ends no block"
    house.diary.ledger.close()


def test_another_selection_takes_out_what_it_does_not_hold(vault: Vaulted) -> None:
    vault.house.tell("theirs.m4a", ["I own a zither.", "It is loud."], owner="you", title="Zither")
    vault.house.publish()
    vault.export()
    assert "ither" not in vault.everything()
    vault.export(Selection())
    assert "ither" in vault.everything()
    vault.export(Selection("me", since=dt.date(2026, 3, 8)))
    assert vault.pages() == set()


def test_a_folder_with_other_things_wants_force(vault: Vaulted, tmp_path: Path) -> None:
    vault.root = tmp_path / "letters"
    vault.root.mkdir()
    (vault.root / "letter.txt").write_text("dear")
    with pytest.raises(UsageError) as refused:
        vault.export()
    assert refused.value.code == "export_exists"
    vault.export(force=True)
    assert (vault.root / "letter.txt").read_text() == "dear"


def test_a_vault_in_a_watched_folder_adds_no_recording(vault: Vaulted) -> None:
    assert list(scan(WatchedFolder(vault.root), 0, 10**10)) == []


def test_a_diary_that_was_put_back_is_written_anew_whole(vault: Vaulted) -> None:
    assert vault.export().notes == 0
    note_restored(vault.house.diary.ledger)
    vault.house.publish()
    assert vault.export().notes == 2
    assert vault.export().notes == 0
