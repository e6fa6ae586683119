"""Vectors for `diary search --meaning`, made by `diary publish` once a publish is done.

What surprises: no trouble here fails a publish. What has no vectors yet is found by its words, and the next publish
goes on.
"""

import os
from typing import TYPE_CHECKING

from diary_pipeline.cli.output import say
from diary_pipeline.core.errors import TransientError
from diary_pipeline.settings import Settings

if TYPE_CHECKING:
    from diary_pipeline.wiring.deployment import Wiring

AFTER_PUBLISH_S = 60.0
"""A run of Dagster's job `publish` holds the next one up for so long at most."""
WHILE_WATCHING_S = 10.0


def spare_threads(settings: Settings) -> None:
    """Have NumPy compute on one thread; call it before anything imports NumPy.

    On two busy cores, two threads took ten times the CPU seconds of one for the same 64 sentences.
    """
    if settings.embedder == "minilm":
        os.environ.setdefault("OMP_NUM_THREADS", "1")


class Embedding:
    """What works off the recordings that have no vectors yet."""

    def __init__(self, wiring: "Wiring") -> None:
        self._wiring = wiring
        self._said = ""
        self._done_at = -1

    def go_on(self, budget_s: float, watermark: int) -> None:
        """Make vectors for `budget_s` seconds, and say how many recordings wait or why none can be made.

        Where nothing was left at this watermark nothing is looked for: that reads every document's row.
        """
        if self._wiring.settings.embedder == "none" or watermark == self._done_at:
            return
        from diary_pipeline.catalogue.search_meaning import embed_waiting

        try:
            embedder = self._wiring.embedder
            assert embedder is not None  # noqa: S101 - one is configured
            left = embed_waiting(self._wiring.search_index, embedder, self._wiring.is_private, budget_s)
        except TransientError as error:
            self._say(f"diary: {error.message} [{error.code}]")
        else:
            self._done_at = -1 if left else watermark
            self._say(f"{left} recordings wait to be found by meaning; publishing goes on with them." if left else "")

    def _say(self, sentence: str) -> None:
        if sentence and sentence != self._said:  # a watching publisher comes by every few seconds
            say(sentence)
        self._said = sentence
