"""What a person types into a search, read: words, "phrases", word beginnings*, -left out, and OR.

Pure. Out comes an expression of SQLite's FTS5, in which everything typed is quoted, so no input can be a syntax error
or reach another column. Running it is search.py's business.

What surprises: a word that FTS5 would not see as one (an emoji, a lone bracket) is left out here. Inside, it would
match nothing and take every other word with it.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

MOST_TERMS = 32
"""The rest of what was typed is not looked for: each term costs a walk through an index."""
MOST_LETTERS = 200
"""Of one term, a whole phrase included."""

SHORTEST_STEM = 4
"""Letters; three of them begin too much ("bed", "bedroom")."""
ENDINGS = tuple("ungen ando ung ten ing ies ied ado ada en er es em ed te ar as os s e n a o".split())
"""Longest first. Words of English, German, French, Italian and Spanish mean much the same without them; docs/search.md
tells what that finds, and what it finds wrongly."""

_QUOTES = str.maketrans(dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb", '"'))
_PIECE = re.compile(
    r'(?P<minus>(?<!\S)[-\u2212](?=[^\s-]))?(?:"(?P<phrase>[^"]*)(?:"|$)|(?P<word>[^\s"]+))(?P<star>\*(?!\S))?'
)


@dataclass(frozen=True)
class Term:
    """A word or a phrase."""

    text: str
    is_beginning: bool = False
    """Whether its last word may go on."""

    @property
    def widened(self) -> "Term":
        """The beginning that other forms of the word share; a phrase stays as it is."""
        if self.is_beginning or " " in self.text or len(self.text) < SHORTEST_STEM:
            return self
        plain = "".join(unicodedata.normalize("NFD", letter)[0] for letter in self.text).lower()
        fits = (e for e in ENDINGS if plain.endswith(e) and len(plain) - len(e) >= SHORTEST_STEM)
        return Term(self.text[: len(self.text) - len(next(fits, ""))], True)

    @property
    def quoted(self) -> str:
        """As FTS5 reads it."""
        return f'"{self.text.replace(chr(34), chr(34) * 2)}"{"*" if self.is_beginning else ""}'


@dataclass(frozen=True)
class Words:
    """What is looked for: one of each group, and nothing of what is left out."""

    groups: tuple[tuple[Term, ...], ...]
    without: tuple[Term, ...] = ()

    @property
    def widened(self) -> "Words":
        """The same with other forms of each word."""
        return Words(tuple(tuple(term.widened for term in group) for group in self.groups), self.without)

    @property
    def expression(self) -> str:
        """In FTS5's words; "" where nothing is looked for."""
        wanted = " AND ".join(_any(group) for group in self.groups)
        return f"({wanted}) NOT {self.excluded}" if wanted and self.without else wanted

    @property
    def excluded(self) -> str:
        """What must not stand there, in FTS5's words."""
        return _any(self.without)


def read_words(typed: str) -> Words:
    """Read what was typed; nothing is refused."""
    groups: list[list[Term]] = []
    without: list[Term] = []
    joins = leaves_out = False
    for piece in _PIECE.finditer(typed.translate(_QUOTES)[: MOST_TERMS * MOST_LETTERS]):
        word = piece["word"]
        if word in ("AND", "OR", "NOT") and not piece["minus"]:
            joins, leaves_out = word == "OR" and bool(groups), word == "NOT"
            continue
        term = _term(piece)
        if term is not None and len(without) + sum(map(len, groups)) < MOST_TERMS:
            if piece["minus"] or leaves_out:
                without.append(term)
            elif joins:
                groups[-1].append(term)
            else:
                groups.append([term])
        joins = leaves_out = False
    return Words(tuple(map(tuple, groups)), tuple(without))


def in_field(field: str, said: str) -> str:
    """Give the expression for a name that must stand in one field; "" for one without a letter."""
    term = Term(_visible(said)[:MOST_LETTERS])
    return f"{field} : {term.quoted}" if term.text else ""


def all_of(expressions: Sequence[str]) -> str:
    """Join expressions that must all hold."""
    return " AND ".join(f"({expression})" for expression in expressions if expression)


def _term(piece: re.Match[str]) -> Term | None:
    word = piece["word"]
    starred = bool(piece["star"]) or bool(word and word.endswith("*"))
    text = _visible(word if word is not None else piece["phrase"])[:MOST_LETTERS]
    return Term(text, starred) if text else None


def _visible(said: str) -> str:
    """Keep what FTS5 makes words of; everything else parts words."""
    kept = (c if unicodedata.category(c)[0] in "LNM" or unicodedata.category(c) == "Co" else " " for c in said)
    spaced = " ".join("".join(kept).split())
    # A mark alone is no word.
    return spaced if any(unicodedata.category(c)[0] in "LN" or unicodedata.category(c) == "Co" for c in spaced) else ""


def _any(terms: Sequence[Term]) -> str:
    joined = " OR ".join(term.quoted for term in terms)
    return f"({joined})" if len(terms) > 1 else joined
