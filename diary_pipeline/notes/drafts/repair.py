"""What a model is told of its own faulty answer, once: which entries, what is wrong with them, and to write it again.

The sentences are those of evidence/faults.py; a model that knows no fault by name still reads the sentence. The answer
goes back with the advice, fenced as the diary is, because a question has no memory, and to nobody but the model that
wrote it. A word changed here makes no note stale: an accepted note stays right.
"""

from collections.abc import Iterable, Mapping

from diary_pipeline.notes.drafts.fence import fenced, inert

Fault = tuple[str, str]
"""Where, as a draft spells it (`actions 2`, `title`), and the code of what is wrong there."""

WRONG_KIND = "wrong_kind"
ONLY_PARTS = "only_parts"
SENTENCES: Mapping[str, str] = {
    WRONG_KIND: "what was said there tells something else",
    ONLY_PARTS: "it leaves out one end of the diary",
}
"""Codes of this room; the others come with the faults."""
_MOST = 12
"""More faults than these are no matter of repair."""


def advice(answer: str, faults: Iterable[Fault], sentences: Mapping[str, str]) -> str:
    """Tell a model which entries of its answer are wrong and how; `sentences` explain the codes."""
    known = {**SENTENCES, **sentences}
    told: dict[str, list[str]] = {}
    for where, code in faults:
        told.setdefault(where, []).append(known.get(code, code.replace("_", " ")))
    lines = [f"- {where}: {'; '.join(dict.fromkeys(wrong))}." for where, wrong in list(told.items())[:_MOST]]
    return "\n\n".join(
        (
            "You have answered this before:",
            fenced("answer", [inert(answer)]),
            "Some of it is wrong; entries are counted from 0:\n" + "\n".join(lines),
            "Write the whole draft again. Put these entries right by what was said, or leave them out.",
        )
    )


def form_advice(fields: Iterable[str]) -> str:
    """Tell a model that its answer was no draft, and which fields were wrong (parsing.py names them)."""
    lines = [f"- {field.replace('_', ' ')}" for field in fields][:_MOST]
    return "Your last answer was not of the form that was asked for:\n" + "\n".join(lines) + "\n\nWrite it again."
