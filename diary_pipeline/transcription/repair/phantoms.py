"""Sentences that Whisper learned from subtitles and writes down where nobody speaks.

A list and how it is compared. Whether such a sentence was really spoken is risk.py's business: people do end a diary
with "thank you".

What surprises: short ones count only as a whole stretch, because as its end they are ordinary speech.
"""

import re
import unicodedata

WHOLE = frozenset(
    {
        "thank you", "thank you very much", "thank you so much", "thanks", "you", "bye", "bye bye", "okay", "so",
        "the end", "see you next time", "i ll see you next time", "we ll be right back", "music", "applause",
        "danke", "vielen dank", "merci", "gracias", "grazie", "obrigado", "tchau", "ありがとうございました",
        "ご視聴ありがとうございました", "谢谢", "감사합니다", "спасибо",
    }
)  # fmt: skip
ENDS = (
    "thanks for watching", "thank you for watching", "thank you so much for watching", "please subscribe",
    "subscribe to my channel", "subscribe to the channel", "like and subscribe", "see you in the next video",
    "see you in the next one", "subtitles by the amara org community", "transcription by castingwords",
    "sous titres realises par la communaute d amara org", "merci d avoir regarde cette video",
    "untertitel der amara org community", "untertitel im auftrag des zdf", "vielen dank furs zuschauen",
    "subtitulos realizados por la comunidad de amara org", "gracias por ver el video",
    "sottotitoli creati dalla comunita amara org", "legendas pela comunidade amara org",
    "продолжение следует", "субтитры сделал dimatorzok", "ご視聴ありがとうございました",
)  # fmt: skip


def folded(text: str) -> str:
    """Reduce a text to lower-case words without accents and punctuation, one space between them."""
    marks = unicodedata.normalize("NFKD", text.lower())
    # Only Latin accents go: in kana the same marks tell consonants apart.
    plain = unicodedata.normalize("NFC", re.sub(r"(?<=[a-z])[\u0300-\u036f]+", "", marks))
    return " ".join(re.sub(r"[^\w]+", " ", plain).split())


def phantom_words(text: str) -> int:
    """Count the words at the end of a text that are such a sentence; all of its words when it is nothing else."""
    said = folded(text)
    if said in WHOLE or said in ENDS:
        return len(said.split())
    return max((len(end.split()) for end in ENDS if said.endswith(" " + end)), default=0)
