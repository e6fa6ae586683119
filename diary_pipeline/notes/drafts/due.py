"""The due date of one to-do in a sentence that may name several: "write it by Sunday and ask the archive once more".

The grammar of dates and cues is language/todos.py's. Here a sentence is only cut around the words that were quoted, so
that a day goes to no other to-do than its own; a day beyond an "and" or a comma is another's, or nobody's.
"""

import datetime as dt
import re

from diary_pipeline.notes.language.spoken_dates import spoken_dates
from diary_pipeline.notes.language.todos import due_date, is_todo

_JOINT = re.compile(
    r"[;:]|,(?!\s*(?:by|on|before|until|till|in|at|this|next|the\s+day|today|tonight|tomorrow)\b)"
    r"|\b(?:and|or|but|so|because|then|otherwise)\b",
    re.IGNORECASE,
)


def due_of(sentence: str, start: int, end: int, today: dt.date) -> dt.date | None:
    """The day that the to-do at characters `start` to `end` is due, if the words around it name one."""
    if not is_todo(sentence):
        return None
    joints = list(_JOINT.finditer(sentence))
    left = max((joint.end() for joint in joints if joint.end() <= start), default=0)
    right = min((joint.start() for joint in joints if joint.start() >= end), default=len(sentence))
    for date in spoken_dates(sentence, today):  # "On Monday, I have to ..."
        opens = max((joint.end() for joint in joints if joint.end() <= date.start), default=0)
        if not sentence[opens : date.start].strip() and sentence[date.end : left].strip() == ",":
            left = date.start
    clause = sentence[left:right].strip()
    # The cue of the first to-do counts for all that are joined to it.
    return due_date(clause if is_todo(clause) else f"I have to {clause}", today)
