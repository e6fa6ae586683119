"""What the demo diarist says: ten entries over two weeks of March 2026, written for this project.

Words only, with the file name and voice of each; speak.py turns them into audio, demo/ holds the result. Numbers are
written as they are spoken, so that recognised text can be compared word for word once digits are folded. Names and
words with a twin that sounds alike are avoided: an error then belongs to the recogniser, not to the spelling. One life
runs through all of them (Daniel at work, Anna and her boy Oliver, Martha across the street), although three synthetic
voices speak it.
"""

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One recording: the file it becomes, who speaks it and what is said."""

    file_name: str
    voice: str
    sentences: tuple[str, ...]
    """One string a sentence; speak.py pauses after each."""
    recorded_day: dt.date | None
    """The day that file name or tags tell; None where only the file's own time can."""
    tags: tuple[tuple[str, str], ...] = ()
    """Container tags as a phone would write them."""

    @property
    def text(self) -> str:
        """Return the whole entry as one line."""
        return " ".join(self.sentences)


ENTRIES: tuple[Entry, ...] = (
    Entry(
        file_name="2026-03-02 first day back.wav",
        voice="am_michael",
        recorded_day=dt.date(2026, 3, 2),
        sentences=(
            "Monday evening, and my first day back at work after two weeks away.",
            "There were three hundred messages waiting for me.",
            "Daniel brought me a coffee and told me what I had missed.",
            "The budget report is late, so I have to finish my part by Friday.",
            "I was nervous this morning, but now I just feel tired, and a little bit proud.",
        ),
    ),
    Entry(
        file_name="20260303_201500.mp3",
        voice="af_heart",
        recorded_day=dt.date(2026, 3, 3),
        sentences=(
            "The kitchen tap has been dripping since Sunday, and tonight the cupboard below it was full of water.",
            "I turned everything off and put two buckets under the pipe.",
            "Martha across the street gave me the number of her plumber, and he takes sixty pounds just to look at it.",
            "I need to call him tomorrow before nine.",
            "I was annoyed for an hour, and then I laughed, because the cat was drinking from the bucket.",
        ),
    ),
    Entry(
        file_name="memo_2026-03-04_07-45.ogg",
        voice="joe",
        recorded_day=dt.date(2026, 3, 4),
        sentences=(
            "It is early on Wednesday, and I have just come back from the swimming pool.",
            "I swam twenty lengths, six more than last week.",
            "The water was cold, and there was almost nobody there, only an old man who was singing on his back.",
            "My plan is to do this every Wednesday until the summer.",
            "I must buy new goggles on Saturday, because the old ones leak.",
            "I feel wide awake and strangely happy.",
        ),
    ),
    Entry(
        file_name="20260305_191000.flac",
        voice="af_heart",
        recorded_day=dt.date(2026, 3, 5),
        sentences=(
            "I went to see my father in the hospital after work.",
            "He looked smaller than last week, and he asked me twice what day it was.",
            "We did the crossword together, and for ten minutes he was exactly like before.",
            "On the way home I had to stop the car, because I was crying.",
            "I am scared, and I miss him already.",
            "Anna will visit him on Sunday, and I need to bring him his blue blanket tomorrow.",
        ),
    ),
    Entry(
        file_name="2026-03-06 report is done.mp3",
        voice="am_michael",
        recorded_day=dt.date(2026, 3, 6),
        sentences=(
            "The budget report is finished.",
            "I sent it at half past four, and Daniel answered with a single word, brilliant.",
            "It has eleven pages and far too many tables.",
            "On the way home I took the blue blanket to my father.",
            "He was asleep, so I sat beside him and listened to the rain.",
            "Then I bought a lemon cake and ate most of it in the car.",
            "We present the numbers to Helen on Tuesday, and I should prepare five slides by Monday.",
        ),
    ),
    Entry(
        file_name="20260307_114000.ogg",
        voice="af_heart",
        recorded_day=dt.date(2026, 3, 7),
        sentences=(
            "I spent the morning in the park with Oliver.",
            "He is six now, and he wants to know everything.",
            "Why is the moon still there in the morning, how old is that tree, and do fish ever sleep.",
            "A sign said that nobody should feed the ducks, and he explained this to every person who walked past.",
            "Afterwards we had hot chocolate, and he spilled half of it on my coat.",
            "I have to take the coat to the cleaners by Thursday.",
            "I cannot remember when I last laughed so much.",
        ),
    ),
    Entry(
        file_name="2026-03-08 old guitar.mp3",
        voice="joe",
        recorded_day=dt.date(2026, 3, 8),
        sentences=(
            "This Sunday I cleaned out the garage.",
            "There were nine bags of rubbish, and at the very back I found my old guitar.",
            "Only four strings are left, but it still sounds warm.",
            "I sat on a box and played the one song that I remember for almost an hour.",
            "I feel a little sad, because I loved being in a band when I was twenty two.",
            "I sent a photograph of it to Peter, and he answered right away.",
            "I need to buy new strings this week, and call Peter about playing together in April.",
        ),
    ),
    Entry(
        file_name="memo_2026-03-10_18-30.ogg",
        voice="joe",
        recorded_day=dt.date(2026, 3, 10),
        sentences=(
            "We presented the numbers today.",
            "I spoke for fifteen minutes, and my hands were shaking, but nobody seemed to notice.",
            "Helen asked hard questions about the second quarter, and Daniel rescued me once.",
            "In the end she approved eighty percent of the budget.",
            "I am relieved, and also disappointed, because the training money is gone.",
            "I have to tell the team by Thursday, and I am not looking forward to that conversation.",
        ),
    ),
    Entry(
        file_name="New Recording 7.m4a",
        voice="am_michael",
        recorded_day=dt.date(2026, 3, 12),
        tags=(("date", "2026-03-12T21:35:00+01:00"),),
        sentences=(
            "Daniel and I arrived in Amsterdam today for the spring conference.",
            "Our train left London at eight, and I slept most of the way.",
            "The hotel room is tiny, but the window looks out over the water, and I can hear bicycle bells.",
            "Tomorrow I give a short talk at ten, and I still have to cut it from twenty minutes to twelve.",
            "We had pancakes for dinner, and Daniel told me that he is going to be a father in September.",
            "I am so happy for him.",
        ),
    ),
    Entry(
        file_name="birthday idea.mp3",
        voice="af_heart",
        recorded_day=None,
        sentences=(
            "A note to myself before I forget it.",
            "Anna has her birthday on the second of May, and she will be forty.",
            "I want to make a book with one page from every person who loves her.",
            "It could be a photograph, a recipe, or a bad joke.",
            "I should write to everybody by the end of the month, and that is about thirty people.",
            "Martha can print it, because she used to work in a print shop.",
            "It must stay a secret, so I have to hide it from Oliver.",
        ),
    ),
)
