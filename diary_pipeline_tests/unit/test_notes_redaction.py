"""What leaves the machine: addresses and numbers hidden, all else as it was said, and everything comes back."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diary_pipeline.notes.drafts.assembling import assemble_draft
from diary_pipeline.notes.drafts.assignment import Assignment
from diary_pipeline.notes.drafts.prompt import note_prompt
from diary_pipeline.notes.drafts.redaction import KINDS, Kind, Redaction
from diary_pipeline.notes.drafts.schema import Claim, FoundDraft, HeadDraft, NoteDraft
from diary_pipeline.notes.drafts.spoken import Spoken
from diary_pipeline_tests.builders import make_recording, make_transcript

IBAN = "DE89 3704 0044 0532 0130 00"


@pytest.mark.parametrize(
    ("said", "hidden"),
    [
        ("Write to anna.weber@example.org, please.", "Write to <EMAIL_1>, please."),
        ("It is anna dot weber at example dot org.", "It is <EMAIL_1>."),
        ("anna@a.de and tom@b.de and anna@a.de", "<EMAIL_1> and <EMAIL_2> and <EMAIL_1>"),
        ("See https://example.org/a?b=1#c.", "See <URL_1>."),
        ("See www.example.org/x!", "See <URL_1>!"),
        ("I looked at amazon dot com.", "I looked at <URL_1>."),
        ("It was on example.co.uk today.", "It was on <URL_1> today."),
        (f"My IBAN is {IBAN}. I paid.", "My IBAN is <IBAN_1>. I paid."),
        (f"{IBAN} I PAID IT", "<IBAN_1> I PAID IT"),
        ("GB82WEST12345698765432", "<IBAN_1>"),
        ("The card is 4111 1111 1111 1111, new.", "The card is <CARD_1>, new."),
        ("5500-0055-5555-5559", "<CARD_1>"),
        ("+49 170 1234567 4111 1111 1111 1111 in one breath", "<CARD_1> in one breath"),
        ("Call +49 170 1234567 now", "Call <PHONE_1> now"),
        ("Call (030) 123 45 67 now", "Call <PHONE_1> now"),
        ("Call 0170-1234567.", "Call <PHONE_1>."),
        ("Call 555-1234.", "Call <PHONE_1>."),
        ("Call 415 555 2671.", "Call <PHONE_1>."),
        ("Call oh seven nine double one two three four.", "Call <PHONE_1>."),
        ("My number is 123-45-6789.", "My number is <ID_NUMBER_1>."),
        ("It is QQ 12 34 56 C.", "It is <ID_NUMBER_1>."),
        ("Passport C01X00T47 is lost.", "Passport <ID_NUMBER_1> is lost."),
        ("Policy 8834120 ends.", "Policy <ID_NUMBER_1> ends."),
    ],
)
def test_addresses_and_numbers_are_hidden_and_come_back(said: str, hidden: str) -> None:
    redaction = Redaction(KINDS)
    assert redaction.hide(said) == hidden
    assert redaction.restore(hidden) == said
    assert said not in repr(redaction)


@pytest.mark.parametrize(
    "said",
    [
        "In 2026 I moved, in 2024 she did.",
        "From 2019-2024 we lived there, and 2019 2020 2021 were hard.",
        "twenty twenty-six will be better",
        "on 2026-03-04 and 04.03.2026 and 3/4/26",
        "from 10:30 to 11:45, or 10.30 to 11.45",
        "It cost $1,250.50, then 12.99, then 1 000 000 or 1.250.000 euros.",
        "I ran 11.2 miles in 2:05:33 and 42 195 metres.",
        "One two three, off we went, four five six.",
        "Flat 12B, room 301, bus 42, gate A12, flight LH 1234.",
        "I met Anna at the dot com party. We were at work.",
        "Windows 11, COVID-19, iPhone 15, MP3 and 100000 steps",
        "We won 21-19, 18-21, 15-13.",
        "Anna Weber lives in Lisbon.",
    ],
)
def test_years_dates_times_prices_and_names_are_left_alone(said: str) -> None:
    assert Redaction(KINDS).hide(said) == said


@pytest.mark.parametrize(
    ("said", "kind"),
    [("4111 1111 1111 1112", "card"), ("DE88 3704 0044 0532 0130 00", "iban"), ("0000 0000 0000 0000", "card")],
)
def test_a_number_that_fails_its_sum_is_not_taken_for_one(said: str, kind: Kind) -> None:
    assert Redaction([kind]).hide(said) == said


def test_only_the_kinds_that_are_asked_for_are_hidden() -> None:
    assert Redaction(["email"]).hide("a@b.org or 0170-1234567") == "<EMAIL_1> or 0170-1234567"
    assert Redaction([]).hide("a@b.org") == "a@b.org"


def test_what_somebody_calls_email_one_is_no_placeholder_of_ours() -> None:
    said = "I wrote EMAIL_1 to a@b.org"
    redaction = Redaction(KINDS, said)
    hidden = redaction.hide(said)
    assert hidden == "I wrote EMAIL_1 to <EMAIL_2>"
    assert redaction.restore(hidden) == "I wrote EMAIL_1 to a@b.org"


@pytest.mark.parametrize("written", ["<EMAIL_1>", "EMAIL_1", "<email_1>", "<EMAIL_1"])
def test_a_model_may_copy_a_placeholder_badly(written: str) -> None:
    redaction = Redaction(KINDS)
    redaction.hide("a@b.org")
    assert redaction.restore(f"Write to {written}.") == "Write to a@b.org."
    assert redaction.restore("<EMAIL_2>") == "<EMAIL_2>"


def test_every_text_of_a_draft_is_restored_however_long_it_becomes() -> None:
    redaction = Redaction(KINDS)
    long = f"{'a' * 100}@example.org"
    assert redaction.hide(long) == "<EMAIL_1>"
    head = HeadDraft(mood="neutral", topics=("<EMAIL_1>",), summary="To <EMAIL_1>", title="Mail <EMAIL_1>")
    assert redaction.restored(head).title == f"Mail {long}"
    assert redaction.restored(head).topics == (long,)
    found = FoundDraft(events=("<EMAIL_1>",), reflections=(), actions=(), people=(), places=())
    assert redaction.restored(found).events == (long,)
    claim = redaction.restored(Claim(text="to <EMAIL_1>", quote="<EMAIL_1>", segment=3))
    assert (claim.quote, claim.segment) == (long, 3)


_SAID = st.lists(
    st.sampled_from(
        ("a@b.org", "+49 170 1234567", IBAN, "4111 1111 1111 1111", "example.com", "2026", "Anna", "EMAIL_1", "and")
    )
).map(" ".join)


@given(st.lists(_SAID, max_size=5))
def test_whatever_was_hidden_is_restored_and_the_same_diary_is_hidden_alike(lines: list[str]) -> None:
    redaction, again = Redaction(KINDS, " ".join(lines)), Redaction(KINDS, " ".join(lines))
    hidden = [redaction.hide(line) for line in lines]
    assert hidden == [again.hide(line) for line in lines]
    for line, shown in zip(lines, hidden, strict=True):
        assert "@" not in shown
        assert "4111" not in shown
        assert redaction.restore(shown) == line


def test_a_quote_with_something_hidden_in_it_is_found_in_what_was_said() -> None:
    said = "I have to write to anna.weber@example.org by Friday, or call 0170-1234567."
    transcript = make_transcript([said])
    recorded = make_recording().recorded_at
    assignment = Assignment(transcript, recorded, "note-1", "0" * 16)
    redaction = Redaction(KINDS, transcript.text)
    asked = note_prompt(assignment, hide=redaction.hide).user
    assert "[0] I have to write to <EMAIL_1> by Friday, or call <PHONE_1>." in asked
    answer = NoteDraft(
        events=(),
        reflections=(),
        actions=(Claim(text="Write to <EMAIL_1>.", quote="I have to write to <EMAIL_1> by Friday", segment=0),),
        people=(),
        places=(),
        topics=(),
        quotes=(),
        said_date=None,
        mood="neutral",
        summary="I have to write to <EMAIL_1>.",
        title="A letter",
    )
    made = assemble_draft(redaction.restored(answer), assignment, Spoken(transcript, recorded))
    (item,) = made.note.items
    assert (item.text, item.quote) == (
        "Write to anna.weber@example.org.",
        "I have to write to anna.weber@example.org by Friday",
    )
    assert made.note.summary == "I have to write to anna.weber@example.org."
    assert item.due_date == dt.date(2026, 3, 13)
