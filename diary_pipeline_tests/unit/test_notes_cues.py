"""What a sentence tells, who and where: tables of sentences, and of sentences that must give nothing."""

import pytest

from diary_pipeline.notes.language.cues import statements, told
from diary_pipeline.notes.language.mood import mood
from diary_pipeline.notes.language.names import people_and_places
from diary_pipeline.notes.language.sentences import sentences
from diary_pipeline.notes.language.topics import topics
from diary_pipeline_tests.builders import make_transcript


@pytest.mark.parametrize(
    "text",
    [
        "I need to call him tomorrow before nine.",
        "The budget report is late, so I have to finish my part by Friday.",
        "I still have to cut it from twenty minutes to twelve.",
        "I've got to renew my passport.",
        "I must buy new goggles on Saturday.",
        "I should write to everybody by the end of the month.",
        "I should not take the tablets with coffee.",
        "I think I should call him this weekend.",
        "We need to get the car fixed.",
        "I'll have to ask the landlord.",
        "I will call Priya about the flat.",
        "I'm going to book the dentist.",
        "I promised Priya I would send the photos.",
        "Don't forget to water the plants.",
        "Remember to pay the rent.",
        "And make sure to lock the door.",
        "Remind me to buy milk.",
        "Need to stop at the bakery.",
        "If it rains on Saturday, I will cancel the barbecue.",
        "The doctor said that I need to rest.",
        "I ought to write down the questions before I forget them.",
        "Ask Stefan about the invoice, and call the insurance.",
        "Note to self, buy a thermometer.",
        "I'd better write to Auntie Pearl.",
    ],
)
def test_what_is_still_to_do_is_an_action(text: str) -> None:
    assert told(text) == "action"


@pytest.mark.parametrize(
    "text",
    [
        "I had to wait forty minutes for the bus.",
        "I needed to stop and breathe.",
        "I have to say that it was lovely.",
        "I must admit I was wrong.",
        "I must be mad.",
        "I should have called her.",
        "I don't have to go to the office on Thursday.",
        "I don't think I need to worry.",
        "I'm not sure if I should apply.",
        "Should I talk to Tom about it?",
        "Do I need to pay?",
        "All I need to do is breathe.",
        "Every day I have to take the bus at six.",
        "I have to go now.",
        "I was supposed to call Hannah, but I forgot.",
        "I used to think that I need to please everybody.",
        "I told her that I have to leave early.",
        "I promised to call him, and I did.",
        "Years ago I promised to come back.",
        "I remember to smile.",
        "They remind me to breathe.",
        "Somebody said we should get a puppy.",
        "Rosalind thinks we should give up the lower bed.",
        "I should see somebody about it, but I don't want to.",
        "Tom needs to send me the file.",
        "I want to learn the piano.",
        "Call with Stefan at ten.",
        "Call me crazy.",
        "Order arrived.",
        "I'll be happy when it is over.",
        "I will never forget this day.",
    ],
)
def test_what_is_past_asked_doubted_or_only_a_phrase_is_no_action(text: str) -> None:
    assert told(text) != "action"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("I went to see my father in the hospital.", "event"),
        ("Daniel brought me a coffee.", "event"),
        ("We did not go to the beach.", "event"),
        ("Grandpa died this morning.", "event"),
        ("I feel wide awake and strangely happy.", "reflection"),
        ("I am scared, and I miss him already.", "reflection"),
        ("I was nervous this morning.", "reflection"),
        ("I'm not proud of it.", "reflection"),
        ("That made me cry.", "reflection"),
        ("I keep thinking about the interview.", "reflection"),
        ("I wish I had more time.", "reflection"),
        ("I didn't like the way he said it.", "reflection"),
        ("It was a wonderful evening.", "reflection"),
        ("I think it was about three o'clock.", "event"),
        ("Did he call?", None),
        ("Why is the moon still there in the morning, how old is that tree, and do fish ever sleep.", None),
        ("And how old were they when he saw them.", None),
        ("When she arrived, we ate.", "event"),
        ("I cannot remember when I last laughed so much.", None),
        ("If I had slept, I would have gone.", None),
        ("I would have gone to the gym.", None),
        ("I was going to bake bread.", None),
        ("When I was a child we watched the stars.", None),
        ("We used to live by the sea.", None),
        ("Maybe he forgot.", None),
        ("I nearly crashed the car.", None),
        ("The shop is closed.", None),
        ("Until then the shop stays closed.", None),
        ("When I was six I broke the blue lamp.", None),
        ("She wants to come, and I haven't said yes.", None),
        ("She says I can stay as long as I like.", None),
        ("It is early on Wednesday.", None),
        ("My plan is to do this every Wednesday.", None),
    ],
)
def test_events_happened_and_reflections_are_felt(text: str, kind: str | None) -> None:
    assert told(text) == kind


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (
            "I met Anna at the dentist this morning, and I need to call her on Wednesday.",
            ["I met Anna at the dentist this morning", "I need to call her on Wednesday."],
        ),
        (
            "If it rains on Saturday I stay at home, and I need to tell Peter about it.",
            ["If it rains on Saturday I stay at home, and I need to tell Peter about it."],
        ),
        (
            "I wanted to go to the concert so much, but I have to work on that evening.",
            ["I wanted to go to the concert so much, but I have to work on that evening."],
        ),
        (
            "Mum said that I look tired these days, and I should sleep more, and eat.",
            ["Mum said that I look tired these days, and I should sleep more, and eat."],
        ),
    ],
)
def test_a_sentence_is_taken_apart_only_where_neither_side_needs_the_other(text: str, parts: list[str]) -> None:
    (sentence,) = sentences(make_transcript([text]))
    assert [p.text for p, _ in statements(sentence)] == parts


@pytest.mark.parametrize(
    ("text", "people", "places"),
    [
        ("I had lunch with Priya in Cairo.", ["Priya"], ["Cairo"]),
        ("I will send it to Priyanka.", ["Priyanka"], []),
        ("Then we drove to Bristol with my sister Zelda.", ["Zelda"], ["Bristol"]),
        ("I asked Dr. Weber, and Mrs. Patel's son answered.", ["Dr. Weber", "Mrs. Patel"], []),
        ("Work was hard. Dinner came late. Nobody told me.", [], []),
        ("Work called again, and then work called again.", [], []),
        ("Daniel brought me a coffee.", ["Daniel"], []),
        ("On Monday we met in March, at Christmas, in English.", [], []),
        ("I looked it up on Google, and I called Vodafone.", [], []),
        ("They asked me why I left Siemens, and I told them.", [], []),
        ("My father called. I visited Grandma at the hospital.", ["father", "Grandma"], ["hospital"]),
        ("I didn't go to the gym.", [], []),
        ("Ask Stefan about it, and pay Thierry back. Thierry snores.", ["Stefan"], []),
        ("I handed in my notice at Bosch.", [], []),
        ("We had tea at Ayşe's flat, and Ayşe laughed.", ["Ayşe"], []),
        ("I took the train from Novi Sad to Belgrade.", [], ["Novi Sad", "Belgrade"]),
        ("I did not go to Paris. We didn't fly to Oslo, but we drove to Bristol.", [], ["Bristol"]),
        ("I never went to Turin. We might go to Madrid. I'd love to see more and travel to Japan.", [], []),
        ("If we go to Rome, I will call Tom.", ["Tom"], []),
        ("Instead of going to Oslo we stayed in Leeds.", [], []),
        ("Should we drive to Bath?", [], []),
        ("I went to Work today, and I was in Love in the Kitchen.", [], []),
        ("I went over to Priyanka last night.", [], []),
        ("Next week we fly to Lisbon.", [], ["Lisbon"]),
        ("She said she is going to Helsinki in August.", [], ["Helsinki"]),
        ("We went to the garden centre, then to the park.", [], ["park"]),
        ("That means no half marathon in Bath.", [], []),
        ("He gave me the Marlow account, and I wrote to Marlow.", [], []),
        ("Mrs. Achterberg observed me.", ["Mrs. Achterberg"], []),
        ("THE WHOLE LINE IS LOUD WITH Bob In Town", [], []),
    ],
)
def test_people_and_places_are_names_that_were_said(text: str, people: list[str], places: list[str]) -> None:
    who, where = people_and_places(sentences(make_transcript([text])))
    assert sorted(m.text for m in who) == sorted(people)
    assert sorted(m.text for m in where) == sorted(places)


def test_a_topic_is_a_noun_said_in_two_sentences() -> None:
    said = ["The project is late.", "I called about the project.", "I really called.", "A bird sang."]
    said += ["The four of us counted it.", "We stand for four hours."]
    assert [m.text for m in topics(sentences(make_transcript(said)), [])] == ["project"]


@pytest.mark.parametrize(
    ("own", "rest", "expected"),
    [
        (["I feel like a house somebody moved out of."], [], "neutral"),  # compared, not liked
        (["I like the new flat a lot."], [], "positive"),
        (["I feel ridiculously content."], [], "neutral"),  # degree is no feeling; "content" VADER does not know
        (["I am happy."], [], "positive"),  # one strong sentence is no "very"
        (["I am happy.", "I love it here.", "It was a wonderful, joyful day."], [], "very_positive"),
        ([], ["We buried him in the rain, and it was terrible."], "negative"),
        (["I felt happy for her, but also a bit sad."], [], "mixed"),
        ([], ["We drove to the coast."], "neutral"),
        ([], ["He found a dead starling.", "We had scones.", "Helen rang.", "I got a rose."], "neutral"),
    ],
)
def test_the_mood_is_that_of_what_was_felt(own: list[str], rest: list[str], expected: str) -> None:
    assert mood(own, rest) == expected
