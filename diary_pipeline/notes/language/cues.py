"""What a sentence tells: a to-do, a reflection, an event, or nothing we may claim. English, by cue words.

Precision first: what was asked, imagined or only hoped for is no event, and "I think it was about three" is no
reflection. To-dos are todos.py's, people and places names.py's, topics topics.py's.
"""

import re
from typing import Literal

from diary_pipeline.notes.language.english import ADVERBS, LONG_AGO, has_past
from diary_pipeline.notes.language.mood import feeling
from diary_pipeline.notes.language.sentences import Passage
from diary_pipeline.notes.language.todos import is_todo

Told = Literal["action", "reflection", "event"]

_FELT = (
    r"(?:worried|proud|grateful|thankful|happy|unhappy|sad|glad|angry|annoyed|anxious|nervous|afraid|scared|excited|tired|exhausted|"
    r"lonely|calm|content|hopeful|ashamed|guilty|jealous|disappointed|relieved|stressed|overwhelmed|bored|frustrated|confused|"
    r"surprised|touched|moved|lucky|blessed|upset|homesick|heartbroken|miserable|depressed|optimistic|pessimistic|confident|"
    r"embarrassed|thrilled|delighted|amazed|impressed|curious|in\s+love|at\s+peace|sorry|better|worse|sick\s+of)\b"
)
_REFLECTED = re.compile(
    "|".join(
        (
            rf"\b(?:I|we)\s+(?:don't\s+|didn't\s+|do\s+not\s+|did\s+not\s+)?{ADVERBS}(?:feel|felt|(?<!as\sI\s)like|liked|love|loved|hate|hated|"
            r"enjoy|enjoyed|regret|regretted|hope|wish|learned|learnt|reali[sz]ed?|appreciate|miss|worry|wonder|believe|dread)\b",
            rf"\b(?:I'm|I\s+am|I\s+was|we're|we\s+are|we\s+were|I've\s+been|I\s+have\s+been)\s+(?:not\s+)?{ADVERBS}{_FELT}",
            r"\b(?:made|makes|making|leaves)\s+me\s+(?:so\s+|very\s+|really\s+)?(?:feel|smile|cry|laugh|think|reali[sz]e|wonder|"
            rf"{_FELT})",
            r"\bI(?:'ve|\s+have)?\s+(?:keep|kept|been|am|was|can't\s+stop|couldn't\s+stop)\s+thinking\b|\bI'm\s+thinking\s+about\b",
            r"\bI\s+(?:often\s+|always\s+)?think\s+(?:about|of)\b|\bit\s+(?:feels|felt)\b",
        )
    ),
    re.IGNORECASE,
)
# "I think it was about three" is a hedge, "it was in March" a fact: these count only with a feeling in them.
_PERHAPS_REFLECTED = re.compile(
    r"\b(?:I|we)\s+(?:think|thought|guess|suppose|find|found)\b"
    r"|^(?:it|that|this|everything|today|the\s+(?:whole\s+)?day|what\s+a)\b(?:\s+(?:was|is|has\s+been|'s))?",
    re.IGNORECASE,
)
_WITH_FEELING = 0.4
_NOT_HAPPENED = re.compile(
    r"\b(?:would|could|should|might|must)(?:n't|\s+not)?\s+(?:\w+\s+)?have\b|\bif\b|\bwish|\b(?:was|were)\s+(?:going|supposed|about)\s+to\b"
    r"|\bimagine|\bdream|\bpretend|\b(?:almost|nearly)\s+(?:\w+ed|fell|lost|hit|forgot|broke)\b|\bmaybe\b|\bperhaps\b|\bprobably\b|\bpossibly\b|\bwould\b|\bwill\b|\b\w+'ll\b"
    r"|\bwhen\s+(?:I|we)\s+last\b|\b(?:it|that|this|there)\s+(?:could|may|might|can)\b",
    re.IGNORECASE,
)
# Recognisers end many a question with a full stop. "What is worse" and "who was there" ask nothing.
_ASKS = re.compile(
    r"\W*(?:(?:and|but|so)\s+)?(?:why|where|when|how(?:\s+\w+)?)\s+"
    r"(?:is|are|was|were|do|does|did|has|have|can|could|will|would|should)\b",
    re.IGNORECASE,
)
_NOT_YET = re.compile(
    r"\b(?:have|has)(?:n't|\s+not|\s+never|\s+yet\s+to)\s+(?:(?:yet|even|really|actually)\s+)?\w+", re.IGNORECASE
)
# Cutting a sentence that holds one of these could turn what it says.
_BOUND = re.compile(
    r"\b(?:if|unless|when|until|till|whether|because|said|says|told|tells|thinks?|thought|hope|wish|would|promised|before|after|that|"
    r"but|not|never|either|neither|although|though)\b|n't\b|[\"“”]",
    re.IGNORECASE,
)
_LEANS = re.compile(
    r"\W*(?:he|she|it|they|(?:this|that)(?!\s+(?:morning|afternoon|evening|night|week|year|\w+day)\b)|these|those|then|afterwards|after\s+that|so|but|because|in\s+the\s+end|on\s+the\s+way|"
    r"also|or|nor|only|his|her|their|its|him|them|no|yes|not|which|who|actually|anyway)\b",
    re.IGNORECASE,
)
_POINTS_BACK = re.compile(r"\b(?:him|he|she|they|them|it)\b", re.IGNORECASE)
_NAMES_SOMEBODY = re.compile(r"(?<=\w\s)(?!I\b)[A-Z]|^(?!I\b)[A-Z]\w+\s+(?:and|told|said|asked)\b|\b[Mm]y\b|\b[Tt]he\b")
_JOINT = re.compile(r"[,;]\s*(?:(?:and|so)\s+)?(?:now\s+)?(?=(?:I|we)(?:\b|'))")
_SPLIT_FROM_WORDS = 10


def told(text: str) -> Told | None:
    """Name what a sentence tells; None when it is a question or none of the three."""
    text = text.replace("’", "'")
    if is_question(text):
        return None
    if is_todo(text):
        return "action"
    if _REFLECTED.search(text) or (_PERHAPS_REFLECTED.search(text) and abs(feeling(text)) >= _WITH_FEELING):
        return "reflection"
    if has_past(_NOT_YET.sub(" ", text)) and may_have_happened(text):
        return "event"
    return None


def may_have_happened(text: str) -> bool:
    """Tell whether nothing shows that a sentence asks, imagines, foresees or remembers what it names."""
    return not (is_question(text) or _NOT_HAPPENED.search(text) or LONG_AGO.search(text))


def is_question(text: str) -> bool:
    """Tell whether a sentence asks, with or without a question mark."""
    return text.rstrip("\"'”’) ").endswith(("?", "？")) or bool(_ASKS.match(text))


def leans_back(text: str) -> bool:
    """Tell whether a sentence needs the one before it ("Then he gave it back", "No, on Tuesday")."""
    return bool(_LEANS.match(text) or (_POINTS_BACK.search(text) and not _NAMES_SOMEBODY.search(text)))


def statements(sentence: Passage) -> list[tuple[Passage, Told]]:
    """Take a sentence apart where it tells two things side by side ("I saw Anna, and I need to call her")."""
    text = sentence.text
    whole = told(text)
    cuts = [j.end() for j in _JOINT.finditer(text.replace("’", "'"))]
    if cuts and len(text.split()) >= _SPLIT_FROM_WORDS and not _BOUND.search(text.replace("’", "'")):
        starts = [0, *cuts]
        ends = [*(j.start() for j in _JOINT.finditer(text.replace("’", "'"))), len(text)]
        parts = [sentence.cut(start, end) for start, end in zip(starts, ends, strict=True)]
        kinds = [told(part.text) for part in parts]
        if len(set(kinds)) > 1 and all(len(p.text.split()) >= 3 for p in parts):
            found = [(part, kind) for part, kind in zip(parts, kinds, strict=True) if kind]
            if len(found) == len(parts):
                return found
    return [(sentence, whole)] if whole else []
