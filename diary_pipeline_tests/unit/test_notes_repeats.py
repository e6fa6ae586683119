"""Which claims are one, and which only look alike."""

import pytest

from diary_pipeline.notes.drafts.repeats import distinct, distinct_names, spelt_once


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("I met Priya in Lisbon.", "in Lisbon I met Priya", True),
        ("Call Tom.", "I need to call Tom.", True),
        ("I met Priya.", "I MET PRIYA!", True),
        ("I met Priya.", "I met Priya, and she told me that she is leaving her job in May.", False),
        ("I went to the party.", "I did not go to the party.", False),
        ("I went to see her.", "I never went to see her.", False),
        ("Ich war auf dem Fest.", "Ich war nicht auf dem Fest.", False),
        ("The rent is 500 euros.", "The rent is 600 euros.", False),
        ("Pay the rent on Monday.", "Pay the rent on Friday.", False),
        ("Pay the rent of May.", "Pay the rent of June.", False),
        ("I walked by the river.", "I bought bread.", False),
    ],
)
def test_claims_are_one_when_they_say_the_same(one: str, other: str, same: bool) -> None:
    assert distinct([one, other]) == ([0] if same else [0, 1])
    assert distinct([other, one]) == ([0] if same else [0, 1])


@pytest.mark.parametrize(
    ("names", "kept"),
    [
        (("Anna", "Anna Weber", "Tom"), ["Anna Weber", "Tom"]),
        (("Anna Weber", "anna weber"), ["Anna Weber"]),
        (("Anna", "Hanna"), ["Anna", "Hanna"]),
        (("", "…", "Tom"), ["Tom"]),
    ],
)
def test_a_name_stands_once_in_its_longest_form(names: tuple[str, ...], kept: list[str]) -> None:
    assert [names[n] for n in distinct_names(names)] == kept


def test_a_name_is_spelt_as_it_was_first() -> None:
    assert spelt_once(["Tom", "Anna", "tom", "…", "Anna Weber"]) == ("Tom", "Anna", "Anna Weber")
