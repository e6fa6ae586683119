"""The note stage killed at any moment: every note is there once, and no stored answer is asked for again.

A call whose answer was not stored yet when its process died may be made again: at most as many as are in flight, which
is the concurrency of the route. That is the bound, and the last test shows that it is the store that keeps it.
"""

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from diary_pipeline.catalogue.publisher import Publisher
from diary_pipeline.catalogue.query import query
from diary_pipeline.notes.routing.ledger_memory import StoredAnswers
from diary_pipeline.settings import load_settings
from diary_pipeline.wiring.deployment import Wiring
from diary_pipeline_tests.diaries import Diary
from diary_pipeline_tests.drafting import honest, lines_of
from diary_pipeline_tests.provider_servers import ProviderDouble, Reply, provider_server

pytestmark = pytest.mark.slow
RECORDINGS = 40
AT_ONCE = 4
LEASE_S = 1.0
ROUTE = """
[[llm.routes]]
name = "stub"
provider = "openai"
model = "model-1"
base_url = "{url}"
api_key_env = "STUB_API_KEY"
concurrency = {at_once}
"""


@dataclass
class Killing:
    """A home full of transcripts, the server that its notes are asked of, and a way to kill who asks."""

    home: Path
    model: ProviderDouble
    wiring: Wiring
    environment: dict[str, str]
    keys: Sequence[str]
    lives: int = 0
    deaths: list[tuple[Counter[str], set[str]]] = field(default_factory=list)
    """At each death: how often each question had been asked, and which answers were stored."""

    def live(self, until: Callable[[], bool] | None = None, pause: str = "") -> None:
        """Write notes; killed when `until` is true, or when all are written and `pause` says so."""
        self.lives += 1
        said = [f"life-{self.lives}", str(LEASE_S), pause, *self.keys]
        command = [sys.executable, "-m", "diary_pipeline_tests.note_worker", *said]
        environment = {**os.environ, **self.environment}
        with subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as worker:
            if pause:
                assert worker.stdout is not None and worker.stdout.readline().strip() == pause
            elif until is not None:
                while worker.poll() is None and not until():
                    time.sleep(0.001)
            if pause or until is not None:
                worker.kill()
            told, trouble = worker.communicate()
        assert worker.returncode == (-9 if pause or until is not None else 0), f"{told}{trouble}"
        if worker.returncode:
            self.deaths.append((self.asked(), self.stored()))

    def asked(self) -> Counter[str]:
        """How often the server was asked for the note of each recording."""
        return Counter(_told_by(lines_of(asked)[0][1]) for asked in self.model.asked)

    def stored(self) -> set[str]:
        """The recordings of which an answer is stored."""
        return {path.parent.name for path in (self.home / "objects" / "answers").rglob("*.json")}

    def asked_again(self) -> int:
        """How many calls were made for questions whose answer was stored when their process died."""
        last = self.asked()
        return sum(last[key] - before[key] for before, stored in self.deaths for key in stored)

    def notes(self) -> list[tuple[object, ...]]:
        """What is published in the end."""
        Publisher(self.wiring.ledger, self.wiring.store, self.home / "catalogue.duckdb").publish()
        sql = "SELECT recording_key, writer, degraded FROM notes ORDER BY recording_key"
        return [tuple(row) for row in query(self.home / "catalogue.duckdb", sql).rows]


def _told_by(sentence: str) -> str:
    return sentence.rstrip(".").rpartition(" ")[2]


@pytest.fixture
def killing(tmp_path: Path) -> Iterator[Killing]:
    with provider_server("openai") as model:
        model.otherwise = Reply(honest, after_s=0.05)
        config = tmp_path / "diary.toml"
        config.write_text(ROUTE.format(url=model.url, at_once=AT_ONCE))
        environment = {"DIARY_HOME": str(tmp_path / "home"), "DIARY_CONFIG": str(config), "STUB_API_KEY": "key"}
        settings = load_settings(environment)
        wiring = Wiring(settings)
        diary = Diary(wiring.ledger, wiring.store)
        some = diary.accept(*(f"walk {n}.m4a" for n in range(RECORDINGS)))
        for recording in some:
            # The first sentence names its recording, so that a question tells whose it is.
            said = (f"This is the memo {recording.key}.", "I walked by the river.", "Then I bought bread and lemons.")
            diary.transcribe([recording], said)
        yield Killing(tmp_path / "home", model, wiring, environment, [r.key for r in some])
        wiring.ledger.close()


def test_killed_at_any_moment_no_stored_answer_is_asked_for_again_and_every_note_is_there_once(
    killing: Killing,
) -> None:
    seed = random.randrange(10_000)  # other moments each time: that it holds at each of them is the claim
    chance = random.Random(seed)
    for _ in range(3):
        many, late_s = len(killing.model.asked) + chance.randint(1, 3), chance.random() * 0.04
        killing.live(until=partial(asked_of, killing, many, late_s))
        many = len(killing.stored()) + chance.randint(1, 2)
        killing.live(until=partial(stored_by, killing, many))
    killing.live(pause="written")
    assert killing.stored() == set(killing.keys), seed
    killing.live()
    assert killing.notes() == [(key, "llm", False) for key in sorted(killing.keys)], seed
    assert set(killing.asked()) == set(killing.keys), seed
    assert killing.asked_again() == 0, seed
    assert len(killing.model.asked) <= RECORDINGS + AT_ONCE * len(killing.deaths), seed


def test_without_stored_answers_every_one_would_be_paid_for_again(killing: Killing) -> None:
    killing.live(pause="written")
    StoredAnswers(killing.wiring.store).forget("answers/")
    killing.live()
    assert killing.asked_again() == RECORDINGS


def asked_of(killing: Killing, many: int, late_s: float) -> bool:
    """Whether so many calls were made, a moment ago."""
    if len(killing.model.asked) < many:
        return False
    time.sleep(late_s)
    return True


def stored_by(killing: Killing, many: int) -> bool:
    """Whether so many answers are stored."""
    return len(killing.stored()) >= many
