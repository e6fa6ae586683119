"""Who and where: people and places by name, relation or kind, as they were said. English.

A name is a capital letter inside a sentence and a word beside it that only goes with people ("told", "my friend") or
places ("drove to"). A capital that only opens a sentence proves nothing ("Work was hard"), unless it is a common
given name. When one name shows both kinds, the person wins: "send it to Priya" is no journey.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from diary_pipeline.notes.language.english import DAYS, MONTHS, NEGATIONS, STOP_WORDS, listed, tokens
from diary_pipeline.notes.language.given_names import GIVEN_NAMES
from diary_pipeline.notes.language.sentences import Passage

MOST = 8
"""Of each kind in one note; the most often named first."""

_NAME_TOKEN = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_TITLES = frozenset(listed("mr mrs ms miss dr doctor prof professor aunt auntie uncle"))
_NO_NAME = STOP_WORDS.union(
    DAYS,
    MONTHS,
    listed("""
    god jesus christ lord heaven christmas easter eid ramadan diwali hanukkah thanksgiving halloween valentine english
    french german spanish italian portuguese polish russian arabic chinese japanese korean turkish dutch swedish greek
    hindi american british european african asian indian muslim christian jewish catholic google facebook instagram
    whatsapp twitter tiktok youtube netflix spotify amazon apple microsoft zoom slack teams excel word powerpoint
    python java android iphone ipad kindle uber lyft airbnb booking ebay paypal visa mastercard ikea tesco sainsbury
    aldi lidl rewe edeka carrefour walmart costco target starbucks mcdonald vodafone telekom verizon t-mobile openai
    chatgpt claude gemini alexa siri internet wifi covid corona brexit bible quran hello hi dear ok okay please thanks
    thank work love kitchen mass dinner lunch breakfast home school church zara primark asda
    whisper ryanair easyjet lufthansa fedex ups dhl hermes tv pc gp mri ct hr it ai uk usa us eu nhs lego
    """),
)
_BEFORE_PERSON = frozenset(
    listed("""
    with told tell telling asked ask asking met meet meeting texted text texting emailed email phoned phone phoning
    hugged hug thanked thank married named called call calling rang ring ringing friend colleague coworker boss
    neighbour neighbor brother sister husband wife cousin son daughter uncle aunt nephew niece girlfriend boyfriend
    partner roommate flatmate manager teacher baby reminded remind helped help joined invited invite promised owe
    kissed
    """)
).union(_TITLES)
_AFTER_PERSON = frozenset(
    listed("""
    said says told asked called texted emailed rang phoned laughed smiled cried wants thinks thought promised hugged
    invited cooked baked lent showed explained agreed suggested mentioned married came visited wrote apologised
    apologized complained sent gave brought helped
    """)
)
_GIVING = frozenset(
    listed("""
    send sent give gave lend lent show showed write wrote talk talked talking speak spoke speaking say said explain
    explained return returned introduce introduced listen listened apologise apologize apologised apologized reply
    replied promised read owe owed offer offered sell sold
    """)
)
_FROM_PERSON = frozenset(
    listed("heard hear letter message call text email note news card gift present postcard flowers")
)
_MOVING = frozenset(
    listed("""
    go goes going went gone drive drove driving fly flew flying travel travelled traveled travelling move moved moving
    come came coming back walk walked walking run ran cycle cycled train flight bus trip ticket tickets journey drive
    return returned arrived home ferry boat hike hiked ride rode
    """)
)
_AT_PLACE = frozenset(listed("in near around through towards toward into outside reached"))
# Where somebody did not go, might go or wants to go is no place of an entry.
_NOT_THERE = re.compile(
    r"n't\b|\b(?:not|no|never|cannot|without|instead|rather|if|unless|would|could|might|should|maybe|perhaps|probably|almost|nearly|wish\w*|wants?|wanted|"
    r"hop(?:e|ed|ing)|dream\w*|imagin\w*|used\s+to|love\s+to|like\s+to)\b|\w'd\b",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"[,;]|\bbut\b")
_OWNED_BY_PERSON = frozenset(
    listed("""
    birthday party wedding funeral mother father mum mom dad sister brother husband wife son daughter house flat
    apartment place kitchen car dog cat boss friend school exam job letter message
    """)
)
# "The Marlow account": neither somebody nor somewhere.
_OF_BUSINESS = frozenset(listed("account project contract file deal team meeting report brand app policy invoice bill"))
_KIN = re.compile(
    r"\b[Mm]y\s+(?:(?:big|little|older|younger|dear|late)\s+)?(?P<relation>(?:mother|father|mum|mom|dad|sister|brother|wife|"
    r"husband|son|daughter|grandmother|grandfather|grandma|grandpa|granny|aunt|uncle|cousin|nephew|niece|boss|girlfriend|"
    r"boyfriend|partner|neighbou?r|therapist|doctor|manager|landlord|flatmate|roommate)(?:-in-law)?)\b(?!\s+(?:tongue|jokes?)\b)"
    r"|\b(?P<called>Mum|Mom|Mummy|Mommy|Dad|Daddy|Mama|Papa|Grandma|Grandpa|Grandad|Granddad|Granny|Gran|Nan|Nana)\b(?!['’]s\s+Day)"
    r"|(?<!your\s)(?<!her\s)(?<!his\s)(?<!a\s)(?<!the\s)(?<!our\s)(?<!their\s)(?<!my\s)\b(?P<dear>mum|mom|grandma|grandpa)\b"
)
_SPOT = re.compile(
    r"\b(?:at|to|from|in|into|near)\s+(?:the|my|our)\s+(?P<spot>office|gym|hospital|school|park|beach|museum|library|airport|"
    r"station|market|supermarket|restaurant|cafe|café|clinic|church|mosque|temple|synagogue|garden|bakery|cinema|theatre|theater|"
    r"university|garage|pool|zoo|cemetery|harbou?r|lake|forest|mountains|dentist's|pharmacy)\b"
    # No other noun behind it: a garden centre is no garden.
    r"(?=\s*(?:[.,;!?]|$)|\s+(?:and|or|but|so|with|in|on|at|after|before|today|yesterday|tonight|this|for|to|where|when|which|near|by|again|"
    r"because|until|from|of|alone|together|then|the|I|we|he|she|they|it)\b)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Mention:
    """A name in its sentence, at characters `start` to `end`."""

    text: str
    sentence: Passage
    start: int


@dataclass(frozen=True)
class _Capitalised:
    mention: Mention
    before: tuple[str, ...]
    after: tuple[str, ...]
    inside: bool
    owned: bool


def people_and_places(sentences: Sequence[Passage]) -> tuple[list[Mention], list[Mention]]:
    """Find who and where, each once, at its first telling mention."""
    spoken_lower = {w for s in sentences for w in _NAME_TOKEN.findall(s.text) if w.islower()}
    seen: dict[str, list[_Capitalised]] = {}
    for sentence in sentences:
        for found in _capitalised(sentence):
            if not any(w.casefold() in spoken_lower for w in found.mention.text.split() if w.casefold() not in _TITLES):
                seen.setdefault(found.mention.text, []).append(found)
    people: dict[str, list[Mention]] = {}
    places: dict[str, list[Mention]] = {}
    for name, uses in seen.items():
        if any(use.after[:1] and use.after[0] in _OF_BUSINESS for use in uses):
            continue
        given = name.split()[0].casefold() in GIVEN_NAMES
        titled = name.split()[0].rstrip(".").casefold() in _TITLES
        if not given and not titled and not any(use.inside for use in uses):
            continue
        as_person = [use.mention for use in uses if given or _is_person(use)]
        as_place = [use.mention for use in uses if _is_place(use)]
        if _KIN.fullmatch(name):
            continue  # "Mum": _kin finds her
        if as_person:
            people[name] = as_person
        elif as_place:
            places[name] = as_place
    people = {name: uses for name, uses in people.items() if not _is_part(name, people)}
    places = {name: uses for name, uses in places.items() if not _is_part(name, {**people, **places})}
    kin = _kin(sentences, set(people))
    spots = _spots(sentences)
    return _first_of_each([*_ranked(people), *kin]), _first_of_each([*_ranked(places), *spots])


def _capitalised(sentence: Passage) -> Iterator[_Capitalised]:
    text = sentence.text
    words = list(_NAME_TOKEN.finditer(text))
    plain = [_without_owner(w[0]).casefold() for w in words]
    capital = [
        w[0][0].isupper() and (p in _TITLES or p not in _NO_NAME) and not (w[0].isupper() and len(w[0]) <= 4)
        for w, p in zip(words, plain, strict=True)
    ]
    if len(words) >= 6 and sum(w[0][0].isupper() for w in words) > 0.6 * len(words):
        return  # written in capitals throughout: they tell nothing
    at = 0
    while at < len(words):
        if not capital[at]:
            at += 1
            continue
        if at + 1 < len(words) and capital[at + 1] and _only_opens(sentence, words[at], plain[at]):
            at += 1  # "Ask Stefan": the first capital is the sentence's
            continue
        last = at
        while last + 1 < len(words) and capital[last + 1] and _joined(text, words[last], words[last + 1]):
            last += 1
        name = _without_owner(text[words[at].start() : words[last].end()])
        if any(p not in _TITLES for p in plain[at : last + 1]):
            yield _Capitalised(
                Mention(name, sentence, words[at].start()),
                tuple(plain[max(0, at - 6) : at]) if at and _spaced(text, words[at - 1], words[at]) else (),
                tuple(plain[last + 1 : last + 3]) if _spaced(text, *words[last : last + 2]) else (),
                any(_stands_inside(sentence, words[n].start()) for n in range(at, last + 1)),
                words[last][0] != _without_owner(words[last][0]),
            )
        at = last + 1


def _is_person(use: _Capitalised) -> bool:
    title = use.mention.text.split()[0].rstrip(".").casefold() in _TITLES
    near = use.before[-1] if use.before else ""
    if title or near in _BEFORE_PERSON:
        return True
    if use.after[:1] and use.after[0] in _AFTER_PERSON and not use.owned:
        return True
    if use.after[:2] == ("and", "i") or use.before[-2:] == ("i", "and"):
        return near not in ("in", "to", "from", "at")
    if use.owned and (near == "at" or (use.after[:1] and use.after[0] in _OWNED_BY_PERSON)):
        return True
    if near == "to":
        return _last_verb(use.before) in _GIVING
    return near == "from" and bool(_FROM_PERSON.intersection(use.before[-3:]))


def _is_place(use: _Capitalised) -> bool:
    before = use.before[:-1] if use.before[-1:] == ("the",) else use.before
    said = use.mention.sentence.text.replace("’", "'")
    if not before or use.owned or said.endswith("?") or _NOT_THERE.search(_CLAUSE.split(said[: use.mention.start])[-1]):
        return False
    if before[-1] in _AT_PLACE:
        return True
    if before[-2:] == ("over", "to"):
        return False  # "over to Priya's", or to Priya
    return before[-1] in ("to", "from") and _last_verb(before) in _MOVING


def _last_verb(before: Sequence[str]) -> str:
    """The nearest of the verbs that tell "said hello to" from "said she is going to"."""
    return next((w for w in reversed(before) if w in _GIVING or w in _MOVING), "")


def _kin(sentences: Iterable[Passage], named: set[str]) -> Iterator[Mention]:
    """Relations and the like, where no name follows that says it better ("my sister Anna")."""
    for sentence in sentences:
        for found in _KIN.finditer(sentence.text):
            following = _NAME_TOKEN.match(sentence.text, found.end() + 1)
            if not following or not any(_without_owner(following[0]) in name.split() for name in named):
                yield Mention(found[found.lastgroup or 0], sentence, found.start(found.lastgroup or 0))


def _spots(sentences: Iterable[Passage]) -> Iterator[Mention]:
    for sentence in sentences:
        words = tokens(sentence.text)
        if not sentence.text.endswith("?") and not any(w in NEGATIONS or w.endswith("n't") or w == "if" for w in words):
            for found in _SPOT.finditer(sentence.text):
                yield Mention(found["spot"], sentence, found.start("spot"))


def _ranked(found: dict[str, list[Mention]]) -> list[Mention]:
    return [uses[0] for uses in sorted(found.values(), key=len, reverse=True)]


def _first_of_each(found: Iterable[Mention]) -> list[Mention]:
    first: dict[str, Mention] = {}
    for mention in found:
        first.setdefault(mention.text.casefold(), mention)
    return list(first.values())[:MOST]


def _is_part(name: str, others: Iterable[str]) -> bool:
    """Tell whether a longer form of the name was said too ("Anna", "Anna Weber")."""
    return any(name != other and set(name.split()) < set(other.split()) for other in others)


def _without_owner(word: str) -> str:
    return word.removesuffix("'s").removesuffix("’s").removesuffix("'").removesuffix("’")


def _only_opens(sentence: Passage, word: re.Match[str], plain: str) -> bool:
    return plain not in _TITLES and plain not in GIVEN_NAMES and not _stands_inside(sentence, word.start())


def _joined(text: str, left: re.Match[str], right: re.Match[str]) -> bool:
    between = text[left.end() : right.start()]
    owner = left[0] != _without_owner(left[0])
    return not owner and (between == " " or (between == ". " and left[0].casefold() in _TITLES))


def _spaced(text: str, *pair: re.Match[str]) -> bool:
    """Tell whether nothing but a blank stands between two words; a comma parts a name from its verb."""
    return len(pair) == 2 and text[pair[0].end() : pair[1].start()] in (" ", ". ")


def _stands_inside(sentence: Passage, at: int) -> bool:
    """Tell whether the word at an offset has a word before it in the same sentence and the same segment."""
    for piece in sentence.pieces:
        if at < piece.end - piece.start:
            before = piece.segment.text[: piece.start + at].rstrip()
            return bool(before) and not before.endswith((".", "!", "?", "…", ":", '"', "“", "'", "‘", "-", "–"))
        at -= piece.end - piece.start + 1
    return False
