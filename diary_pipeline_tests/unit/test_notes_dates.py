"""Dates by grammar: what resolves, and what must not."""

import datetime as dt

import pytest

from diary_pipeline.notes.language.spoken_dates import diary_day, spoken_dates
from diary_pipeline.notes.language.todos import due_date, is_todo

WEDNESDAY = dt.date(2026, 3, 4)


@pytest.mark.parametrize(
    ("words", "day"),
    [
        ("today", "2026-03-04"),
        ("tonight", "2026-03-04"),
        ("this afternoon", "2026-03-04"),
        ("tomorrow morning", "2026-03-05"),
        ("the day after tomorrow", "2026-03-06"),
        ("on Friday", "2026-03-06"),
        ("by Friday", "2026-03-06"),
        ("on Wednesday", "2026-03-11"),
        ("next Wednesday", "2026-03-11"),
        ("on Monday", "2026-03-09"),
        ("next Monday", "2026-03-09"),
        ("Sunday evening", "2026-03-08"),
        ("this weekend", "2026-03-08"),
        ("at the weekend", "2026-03-08"),
        ("this week", "2026-03-08"),
        ("next week", "2026-03-15"),
        ("next month", "2026-04-30"),
        ("by the end of the month", "2026-03-31"),
        ("the end of June", "2026-06-30"),
        ("the last week of May", "2026-05-31"),
        ("the end of January", "2027-01-31"),
        ("in two weeks", "2026-03-18"),
        ("in a week", "2026-03-11"),
        ("in a fortnight", "2026-03-18"),
        ("in 3 days", "2026-03-07"),
        ("in a couple of weeks", "2026-03-18"),
        ("in twenty days", "2026-03-24"),
        ("within two weeks", "2026-03-18"),
        ("two weeks from today", "2026-03-18"),
        ("three weeks today", "2026-03-25"),
        ("a week on Friday", "2026-03-13"),
        ("on Friday week", "2026-03-13"),
        ("tomorrow week", "2026-03-12"),
        ("on the first Monday in April", "2026-04-06"),
        ("on the last Friday of March", "2026-03-27"),
        ("in a month", "2026-04-04"),
        ("the fifth of December", "2026-12-05"),
        ("December 5th", "2026-12-05"),
        ("5 December", "2026-12-05"),
        ("the second of May", "2026-05-02"),
        ("on the twenty first of March", "2026-03-21"),
        ("on the twenty-first of March", "2026-03-21"),
        ("the first of February", "2027-02-01"),
        ("the fifth of December, 2027", "2027-12-05"),
        ("the 29th of February", "2028-02-29"),
        ("by the thirtieth", "2026-03-30"),
        ("on the second", "2026-04-02"),
        ("on Saturday the seventh", "2026-03-07"),
        ("on Thursday the ninth", "2026-04-09"),
    ],
)
def test_a_spoken_date_resolves_ahead_of_the_day_it_was_spoken(words: str, day: str) -> None:
    (found,) = spoken_dates(f"I need to do it {words}.", WEDNESDAY)
    assert found.day == dt.date.fromisoformat(day)
    assert f"I need to do it {words}."[found.start : found.end] in words


@pytest.mark.parametrize(
    "words",
    [
        "next Friday",  # this week's or the one after? two readings
        "next weekend",
        "in a few days",
        "every Friday",
        "each Monday, always",
        "this Wednesday",  # said on a Wednesday
        "on Saturday the eighth",  # no such day within three months
        "the thirty first of June",
        "on the second floor",
        "two weeks of holiday in two weeks of rain",
        "we may go, and he will march",
        "a Monday meeting",
        "sun, sat and wed",
    ],
)
def test_words_with_two_readings_or_none_resolve_to_nothing(words: str) -> None:
    assert spoken_dates(words, WEDNESDAY) == []


def test_a_week_said_on_a_sunday_is_nobodys() -> None:
    assert spoken_dates("I need to do it this week.", dt.date(2026, 3, 8)) == []


def test_yesterday_and_last_monday_lie_behind() -> None:
    found = spoken_dates("Yesterday, or last Monday, or the day before yesterday.", WEDNESDAY)
    assert [d.day.isoformat() for d in found] == ["2026-03-03", "2026-03-02", "2026-03-02"]


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("Today is the fifth of March, and it is my birthday.", "2026-03-05"),
        ("It is Thursday the 5th of March.", "2026-03-05"),
        ("Today's March 5th.", "2026-03-05"),
        ("Today is the thirty first of December.", "2025-12-31"),
        ("Today is a good day. The fifth of March was better.", "2026-03-04"),
        ("My birthday is the fifth of March.", "2026-03-04"),
        ("Today is Tuesday the third of March.", "2026-03-03"),
        ("Today, the third of March, I went out.", "2026-03-03"),
        ("Tuesday, the third of March. I went out.", "2026-03-03"),
        ("March 3rd. I went out.", "2026-03-03"),
        ("Okay, so, March the third.", "2026-03-03"),
        ("The third of May. I cannot wait.", "2026-03-04"),  # too far to be the head of an entry
        ("Yesterday I went to the fair.", "2026-03-04"),
        ("Yesterday was the third of March.", "2026-03-04"),
        ("Tomorrow is the fifth of March.", "2026-03-04"),
        ("It is the fifth of March tomorrow.", "2026-03-04"),
        ("He said today is the fifth of May.", "2026-03-04"),
        ("I wish today was the fifth of May, or that it is the fifth of May soon.", "2026-03-04"),
        ("Today is not the third of March.", "2026-03-04"),
        ("It is the third of March, no, the fourth.", "2026-03-04"),
        ("Today is Tuesday the fifth of March.", "2026-03-04"),  # that was a Thursday
        ("The deadline is the fifth of March.", "2026-03-04"),
        ("", "2026-03-04"),
    ],
)
def test_an_entry_is_dated_by_its_recording_unless_it_says_what_day_it_is(text: str, day: str) -> None:
    assert diary_day(text, WEDNESDAY) == dt.date.fromisoformat(day)


@pytest.mark.parametrize(
    ("text", "due"),
    [
        ("I need to call the plumber tomorrow before nine.", "2026-03-05"),
        ("By Friday I have to finish the report.", "2026-03-06"),
        ("In two weeks I have to hand in the thesis.", "2026-03-18"),
        ("Anna will visit him on Sunday, and I need to bring him his blanket tomorrow.", "2026-03-05"),
        ("I have to send it by Thursday, because the meeting is on Friday.", "2026-03-05"),
        ("I'll order the filters next month.", "2026-04-30"),
        ("Remind me to pay the rent on the first.", "2026-04-01"),
        ("I need to tell Tom that I saw Anna on Friday.", None),  # the Friday is not the to-do's
        ("The letter that came on Monday says that I have to pay.", None),
        ("I'll call Ben on the second of May and Zoe on the fifth of May.", None),  # two days, one item
        ("If they call on Friday, I have to decide fast.", None),
        ("Tomorrow I give a talk, and I still have to cut it.", None),
        ("I need to answer the mail from last Tuesday.", None),
        ("I must ask my mother whether she can take the kids on Saturday.", None),  # her Saturday, not the question's
        ("I promised her that I would call on Friday.", "2026-03-06"),
        ("Send Ms. Okafor the signed lease by Monday.", "2026-03-09"),
        ("I should call her more often.", None),
        ("I must post the card tomorrow or it won't get there by the twentieth.", "2026-03-05"),
        ("The viva is on the twelfth of March, I have to prepare a talk.", None),
    ],
)
def test_a_due_date_is_the_one_said_with_the_todo(text: str, due: str | None) -> None:
    assert is_todo(text)
    assert due_date(text, WEDNESDAY) == (dt.date.fromisoformat(due) if due else None)
