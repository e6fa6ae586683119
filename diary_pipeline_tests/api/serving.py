"""A deployment whose API is served over loopback, with a worker that works when a test says so."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import uvicorn
from fastapi import FastAPI

from diary_pipeline.api.app import all_in_one
from diary_pipeline.api.connections import Connection
from diary_pipeline.api.parts import Parts, parts_of
from diary_pipeline.core.batch import Stage
from diary_pipeline.ledger import batches
from diary_pipeline.settings import load_settings
from diary_pipeline.transcription.scripted import ScriptedTranscriber
from diary_pipeline.transcription.transcriber import Transcriber
from diary_pipeline.wiring.deployment import Wiring


class ScriptedWiring(Wiring):
    """The product's wiring with scripted ears."""

    ears: Transcriber

    def transcriber(self, model: str) -> Transcriber:
        return self.ears


class Deployment:
    """Ledger, objects and stages of one home."""

    def __init__(self, home: Path, **environment: str) -> None:
        said = {"DIARY_HOME": str(home), "DIARY_TIME_ZONE": "UTC", "DIARY_RATE_LIMITS": "1000000/minute"}
        self.wiring = ScriptedWiring(load_settings({**said, **environment}))
        self.wiring.ears = ScriptedTranscriber()
        self.parts: Parts = parts_of(self.wiring)
        self.scratch = home / "scratch"

    def work(self) -> None:
        """Take in, transcribe and write the notes of what waits, as a worker does."""
        self.wiring.intake.work(60, 1_000)
        self._do("transcript")
        self._do("note")

    def kept(self) -> list[str]:
        """Give the keys of what was handed in and is not taken in yet, and what lies in the scratch folder."""
        store = self.parts.store
        scratch = [f"scratch/{path.name}" for path in self.scratch.glob("*")]
        return [*store.list("uploads/"), *store.list("upload-parts/"), *scratch]

    def _do(self, stage: Stage) -> None:
        ledger, wiring = self.wiring.ledger, self.wiring
        ids = batches.plan_waiting(ledger, stage, wiring.limits[stage])
        batches.mark_requested(ledger, ids)
        for id in ids:
            batch = batches.claim_batch(ledger, id, 1, f"worker-{id}", 60.0)
            if stage == "transcript":
                wiring.transcribe(batch)
            else:
                wiring.write_note(batch)


@contextlib.contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """Serve an app on a free port, and give its address."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()  # whoever asks before the server is up waits in this queue
        server = uvicorn.Server(uvicorn.Config(app, http=Connection, lifespan="on", log_config=None, ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@contextlib.contextmanager
def asked(deployment: Deployment) -> Iterator[httpx.Client]:
    """Serve both APIs of a deployment, and give a client of them."""
    with served(all_in_one(deployment.parts)) as url, httpx.Client(base_url=url, timeout=30) as client:
        yield client
