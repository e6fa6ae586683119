"""A process that asks a server once, keeps the answer and uses it, so that a test can kill it between any two steps.

`python -m diary_pipeline_tests.asker PORT STORE PAUSE`: says each step on standard output before it goes on (`asked`,
`kept`, `used`), and after PAUSE waits for a line on standard input.
"""

import http.client
import sys
from pathlib import Path

from diary_pipeline.notes.providers.exchange import Completion, Usage
from diary_pipeline.notes.routing.ledger_memory import StoredAnswers
from diary_pipeline.storage.folder import FolderStore

RECORDING, QUESTION = "2026-03-07-walk-0123456789ab", "ab" * 32


def main(port: str, store: str, pause: str) -> None:
    """Ask only what no kept answer settles."""
    answers = StoredAnswers(FolderStore(Path(store))).of("me", RECORDING)
    answer = answers.get(QUESTION)
    if answer is None:
        server = http.client.HTTPConnection("127.0.0.1", int(port))
        server.request("POST", "/", b"{}")
        answer = Completion(server.getresponse().read().decode(), Usage(10, 0, 5), "stub")
        step("asked", pause)
        answers.put(QUESTION, answer)
        step("kept", pause)
    print("used", answer.text, flush=True)


def step(name: str, pause: str) -> None:
    """Say that a step is done, and wait there if it is the one to wait at."""
    print(name, flush=True)
    if name == pause:
        sys.stdin.readline()


if __name__ == "__main__":
    main(*sys.argv[1:])
