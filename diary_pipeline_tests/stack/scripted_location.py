"""The product's code location with scripted ears, for stacks whose question is not what was said.

Loaded by webserver, daemon and run processes like the real one. Each recording that is listened to leaves a line with
the process and the key in the file that HEARD_FILE names, after SLOW_EARS_S of listening have begun: that is how tests
count, and how they find the process to kill.
"""

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from diary_pipeline.definitions import build_defs
from diary_pipeline.defs.resources import resources
from diary_pipeline.settings import load_settings
from diary_pipeline.transcription.transcriber import Heard, ToHear
from diary_pipeline_tests.defs.house import CountingTranscriber, ScriptedWiring

MODULE = __name__


class TellingEars(CountingTranscriber):
    """Scripted ears that tell whom they listen to."""

    def transcribe(self, recordings: Iterable[ToHear]) -> Iterator[tuple[str, Heard | Exception]]:
        return super().transcribe(map(_told, recordings))


def _told(recording: ToHear) -> ToHear:
    with Path(os.environ["HEARD_FILE"]).open("a") as heard:
        heard.write(f"{os.getpid()} {recording.key}\n")
    time.sleep(float(os.environ.get("SLOW_EARS_S", "0")))
    return recording


_settings = load_settings()
_wiring = ScriptedWiring(_settings)
_wiring.ears = TellingEars()
defs = build_defs(_settings, resources(_wiring))
