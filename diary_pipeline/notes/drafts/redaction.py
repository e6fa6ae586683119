"""What no outside server needs to see: addresses and numbers of the speaker's life, hidden behind placeholders.

Reversible: the map stays in this process, and what comes back is restored before any quote is looked for. Numbering
follows the diary, so that the same diary asks the same question. Names are NOT hidden: a note is about them, and a
diary without names is no diary; who must not send names sets `local_only`. Hiding too much costs little, hiding too
little cannot be taken back, so an unclear number is hidden; years, dates, times and prices are not.
"""

import re
from collections.abc import Callable, Collection, Iterator
from typing import Any, Literal, TypeVar, get_args

from pydantic import BaseModel

Kind = Literal["email", "url", "iban", "card", "id_number", "phone"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""In the order in which they are looked for: the more certain first."""
Draft = TypeVar("Draft", bound=BaseModel)

_TOP = (
    r"(?:com|org|net|edu|gov|info|io|co|app|dev|eu|uk|de|at|ch|fr|es|it|nl|be|pl|pt|se|no|dk|fi|ie|in|au|nz|ca|us|jp|br|"
    r"mx|za)"
)
_DIGIT_WORD = r"(?:zero|oh|one|two|three|four|five|six|seven|eight|nine|double|triple)"
_DATE = re.compile(r"\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./](?:\d{2}|\d{4})")
_YEARS = re.compile(r"(?:19|20)\d\d(?:\s*[-–/ ]\s*(?:19|20)\d\d)+")
_AMOUNT = re.compile(r"\d{1,3}(?:[ .]\d{3})*[ .]000")
_PATTERNS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("email", re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")),
    # "anna dot weber at example dot org", but not "I looked at example dot org".
    (
        "email",
        re.compile(
            r"\b(?!(?:look\w*|was|were|is|be|bought|found|saw|see|shop\w*|order\w*|work\w*|read|me|us|it|them|him|her|out|up|"
            r"only|online|stuff|things?)\s+at\b)[\w-]+(?:\s+(?:dot|underscore|dash)\s+[\w-]+)*\s+at\s+(?!the\b)[\w-]+(?:\s+dot\s+[\w-]+)*"
            rf"\s+dot\s+{_TOP}\b",
            re.IGNORECASE,
        ),
    ),
    ("url", re.compile(r"\b(?:https?://|www\.)[^\s<>\"]*[^\s<>\".,;:!?)\]]", re.IGNORECASE)),
    ("url", re.compile(rf"\b[\w-]+(?:\.[\w-]+)*\.{_TOP}\b(?:/[^\s<>\"]*[^\s<>\".,;:!?)\]])?")),
    ("url", re.compile(rf"\b(?!(?:the|a|this|that)\b)[\w-]+\s+dot\s+{_TOP}\b", re.IGNORECASE)),
    ("iban", re.compile(r"\b[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{1,4}){3,8}\b")),
    ("card", re.compile(r"(?<![\w+])\+?\d(?:[ -]?\d){12,}(?!\w)")),
    ("id_number", re.compile(r"\b\d{3}-\d{2}-\d{4}\b|\b[A-Z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-D]\b|\b[A-Z]{1,3}\d{6,9}\b")),
    ("id_number", re.compile(r"\b(?=[A-Z]*\d)(?=\d*[A-Z])(?:[A-Z]*\d){4,}[A-Z]*\b")),
    ("phone", re.compile(r"(?<![\w.,:])(?:\+|\(?0)\(?\d(?:[ ().\-/]{0,2}\d){5,14}(?![\w:])")),
    ("phone", re.compile(r"(?<![\w.,:+])\(?\d{2,4}\)?(?:[ .\-/]{1,2}\d{2,4}){2,4}(?![\w:])")),
    ("phone", re.compile(r"(?<![\w.,:+-])\d{3}[-.]\d{4}(?![\w:-])")),
    ("phone", re.compile(rf"\b{_DIGIT_WORD}(?:[\s,-]+{_DIGIT_WORD}){{6,}}\b", re.IGNORECASE)),
    ("id_number", re.compile(r"(?<![\w.,:+])\d{7,18}(?![\w:])")),
)  # fmt: skip
_PLACEHOLDER = re.compile(rf"<?\b(?P<name>(?:{'|'.join(k.upper() for k in KINDS)})_\d+)\b>?", re.IGNORECASE)


class Redaction:
    """The placeholders of one diary, all of whose words are `spoken`."""

    def __init__(self, kinds: Collection[Kind], spoken: str = "") -> None:
        self._kinds = frozenset(kinds)
        self._hidden: dict[str, str] = {}
        """Placeholder without its brackets -> what it stands for."""
        self._names: dict[tuple[Kind, str], str] = {}
        # Somebody may speak of "EMAIL_1": that stays what it is, and ours gets another number.
        self._spoken = {found["name"].upper() for found in _PLACEHOLDER.finditer(spoken)}

    def __repr__(self) -> str:
        return f"Redaction({len(self._hidden)} hidden)"

    def hide(self, text: str) -> str:
        """Put placeholders for what is not to be seen; the same words get the same one."""
        for kind, pattern in _PATTERNS:
            if kind in self._kinds:
                text = pattern.sub(self._hiding(kind), text)
        return text

    def restore(self, text: str) -> str:
        """Put back what placeholders stand for; one that is none of ours stays, and no check lets it pass."""
        return _PLACEHOLDER.sub(lambda found: self._hidden.get(found["name"].upper(), found[0]), text)

    def restored(self, draft: Draft) -> Draft:
        """Restore every text of a draft; what was hidden may be longer than a field allows, and is kept whole."""
        return draft.model_copy(update={name: self._walk(value) for name, value in draft})

    def _walk(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.restore(value)
        if isinstance(value, BaseModel):
            return self.restored(value)
        return tuple(map(self._walk, value)) if isinstance(value, tuple) else value

    def _hiding(self, kind: Kind) -> Callable[[re.Match[str]], str]:
        def hide(found: re.Match[str]) -> str:
            said = found[0]
            held = next((part for part in _shorter(kind, said) if _is_one(kind, part)), None)
            return said if held is None else f"<{self._name(kind, held)}>{said[len(held) :]}"

        return hide

    def _name(self, kind: Kind, said: str) -> str:
        if (kind, said) not in self._names:
            number = 1 + sum(known == kind for known, _ in self._names)
            while (name := f"{kind.upper()}_{number}") in self._spoken or name in self._hidden:
                number += 1
            self._names[kind, said] = name
            self._hidden[name] = said
        return self._names[kind, said]


def _shorter(kind: Kind, said: str) -> Iterator[str]:
    """What may be meant: of an IBAN also less, because capitals that follow it look like more of it."""
    yield said
    if kind == "iban":
        for cut in reversed([gap.start() for gap in re.finditer(r"[ -]", said)]):
            yield said[:cut]


def _is_one(kind: Kind, said: str) -> bool:
    digits = re.sub(r"\D", "", said)
    if kind == "card":
        # Longer runs are several numbers in one breath; where one of them may be a card, all of it is hidden.
        windows = [digits] if len(digits) <= 19 else [digits[n : n + 16] for n in range(len(digits) - 15)]
        return any(map(_passes_luhn, windows)) and not _YEARS.fullmatch(said)
    if kind == "iban":
        return _passes_mod_97(re.sub(r"[ -]", "", said))
    if kind == "phone" and digits:
        return len(digits) >= 7 and not any(p.fullmatch(said) for p in (_DATE, _YEARS, _AMOUNT))
    return True


def _passes_luhn(digits: str) -> bool:
    doubled = [int(d) * (1 + n % 2) for n, d in enumerate(reversed(digits))]
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0 and int(digits) > 0


def _passes_mod_97(iban: str) -> bool:
    return 15 <= len(iban) <= 34 and int("".join(str(int(c, 36)) for c in iban[4:] + iban[:4])) % 97 == 1
