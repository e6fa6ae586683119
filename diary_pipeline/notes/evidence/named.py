"""Whether the people and places of a note are people and places, and were named as such.

That a name was said at all is grounding.py's business. The surprise: both halves of "Hendrik's kiln" may have been
said, and nobody have spoken of a kiln of his; so the words of a name must stand together.
"""

import re
from functools import lru_cache

from diary_pipeline.notes.evidence.grounding import Said, normalise
from diary_pipeline.notes.language.english import listed
from diary_pipeline.notes.language.given_names import GIVEN_NAMES
from diary_pipeline.notes.language.names import people_and_places
from diary_pipeline.notes.language.sentences import sentences

_TITLES = frozenset(listed("mr mrs ms mister missus miss dr doctor prof professor the my our a"))
_PRONOUNS = frozenset(listed("i me myself we us you he him she her it they them everybody everyone nobody somebody"))
_WHERE = (
    r"\b(?:at|to|from|in|into|inside|near|on|onto|through|behind|around|along|over|towards|outside|by|past|across|beside|under|"
    r"between|opposite|reached|left|visited|entered)\s+(?:(?:the|my|our|a|an|this|that|her|his|their|your)\s+)?(?:\w+\s+)?"
)
_ALWAYS_PLACES = frozenset(("home", "abroad", "outside", "upstairs", "downstairs"))


def stands_together(name: str, said: Said) -> bool:
    """Tell whether the words of a name were said one after the other, titles apart."""
    words = [w.removesuffix("'s") for w in normalise(name).split()]
    while words and words[0] in _TITLES:
        words = words[1:]
    if len(words) < 2:
        return True
    spoken = re.sub(r"'s\b", "", said.text)
    return re.search(rf"\b{r' '.join(map(re.escape, words))}", spoken) is not None


def is_no_person(name: str, said: Said) -> bool:
    """Tell whether a name was only spoken of as a place, or is a number or a pronoun."""
    people, places = _named(said)
    plain = normalise(name)
    return not any(c.isalpha() for c in name) or plain in _PRONOUNS or (plain in places and plain not in people)


def is_no_place(name: str, said: Said) -> bool:
    """Tell whether a name was only spoken of as a person, or a thing in which nobody was and to which nobody went."""
    people, places = _named(said)
    plain = normalise(name)
    if not any(c.isalpha() for c in name):
        return True
    if plain in people and plain not in places and plain.split()[0] in GIVEN_NAMES:
        return True
    bare = " ".join(w for w in plain.split() if w not in _TITLES)
    if not bare or bare in _ALWAYS_PLACES or bare.split()[-1] in _capitals(said):
        return False
    return re.search(_WHERE + re.escape(bare), said.text) is None


@lru_cache(maxsize=16)
def _capitals(said: Said) -> frozenset[str]:
    """Words that were written with a capital, in their plainest form."""
    found = re.findall(r"[^\W\d_][\w-]*", said.transcript.text)
    return frozenset(normalise(word) for word in found if word[0].isupper())


@lru_cache(maxsize=16)
def _named(said: Said) -> tuple[frozenset[str], frozenset[str]]:
    people, places = people_and_places(sentences(said.transcript))
    return frozenset(normalise(p.text) for p in people), frozenset(normalise(p.text) for p in places)
