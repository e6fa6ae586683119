"""One note's way over the routes: what each is asked next, and which are out of the question.

Decisions only; sending is router.py's business. A route is dropped for this note alone, other notes may go on with it.
"""

from dataclasses import dataclass, field, replace

from diary_pipeline.notes.providers.exchange import REPAIRABLE, TRANSIENT, Failure, Prompt
from diary_pipeline.notes.routing.answer_key import answer_key
from diary_pipeline.notes.routing.memory import Answers, Attempt
from diary_pipeline.notes.routing.outcome import Why
from diary_pipeline.notes.routing.pacing import Lane


@dataclass
class Question:
    """What one route is asked for one note."""

    prompt: Prompt
    key: str
    tries: int
    """Left, for failures that pass."""
    is_looked_up: bool = False
    """Whether it is known that no answer is kept under the key."""
    is_repaired: bool = False
    is_doubled: bool = False


@dataclass
class Asking:
    """The state of one note."""

    recording_key: str
    owner: str
    answers: Answers
    again: bool = False
    """Whether kept answers that are refused are asked for anew."""
    questions: dict[Lane, Question] = field(default_factory=dict)
    """Of the routes that may still be asked."""
    reasons: dict[str, Why] = field(default_factory=dict)
    """By route, why it may not."""
    attempts: list[Attempt] = field(default_factory=list)
    spent_s: float = 0.0

    def drop(self, lane: Lane, why: Why) -> None:
        """Ask this route no more for this note."""
        self.questions.pop(lane, None)
        self.reasons[lane.route.name] = why

    def go_on(self, lane: Lane, failure: Failure, advice: str) -> None:
        """Decide what a failure means for the route that failed: again, again but differently, or no more."""
        question = self.questions[lane]
        prompt = question.prompt
        if failure in TRANSIENT and question.tries > 1:
            question.tries -= 1
        elif failure in REPAIRABLE and not question.is_repaired:
            question.is_repaired = True
            self._ask_instead(lane, replace(prompt, user=f"{prompt.user}\n\n{advice}".rstrip()))
        elif failure is Failure.TRUNCATED and not question.is_doubled:
            question.is_doubled = True
            self._ask_instead(lane, replace(prompt, max_output_tokens=2 * prompt.max_output_tokens))
        else:
            self.drop(lane, Why.TOO_LONG if failure is Failure.TOO_LONG else Why.FAILED)

    def _ask_instead(self, lane: Lane, prompt: Prompt) -> None:
        question = self.questions[lane]
        key = answer_key(lane.route, prompt)
        # Without advice the same question would bring the same, kept answer.
        if key == question.key:
            self.drop(lane, Why.FAILED)
            return
        question.prompt, question.key, question.is_looked_up = prompt, key, False
