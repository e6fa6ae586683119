"""A whole house in a temporary folder: real ledger, store, catalogue and Dagster; only the ears are scripted."""

import dataclasses
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import dagster as dg
import duckdb
import numpy as np
import yaml
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value

from diary_pipeline.cli import drain
from diary_pipeline.core.errors import PermanentError, ServiceMissing
from diary_pipeline.core.owner import Owner
from diary_pipeline.core.transcript import Engine
from diary_pipeline.definitions import build_defs
from diary_pipeline.defs.dispatch import Dispatcher
from diary_pipeline.defs.partitions import RECORDINGS
from diary_pipeline.defs.recovery import Recovery
from diary_pipeline.defs.resources import Eraser, resources
from diary_pipeline.notes.renderers.template import Template
from diary_pipeline.notes.writer import ToWrite, Written, note_version
from diary_pipeline.settings import load_settings
from diary_pipeline.transcription.scripted import ScriptedTranscriber
from diary_pipeline.transcription.transcriber import Block, Heard, ToHear, Transcriber
from diary_pipeline.wiring.deployment import Wiring
from diary_pipeline_tests.builders import speech_like, write_audio
from diary_pipeline_tests.note_builders import offline_notes

SAID = (
    "This morning I walked along the river with Anna.",
    "I felt calm for the first time in weeks.",
    "Tomorrow I need to call Doctor Patel about the headaches.",
)


AT_ONCE = ("DIARY_SETTLE_S", "DIARY_RETRY_S", "DIARY_RETRY_AFTER_S")


class CountingTranscriber:
    """A scripted transcriber that counts how often it was asked, and can be told to break."""

    def __init__(self, said: Mapping[str, str] | Sequence[str] = SAID) -> None:
        self._ears = ScriptedTranscriber(said)
        self.heard = 0
        self.broken: BaseException | None = None

    @property
    def engine(self) -> Engine:
        return self._ears.engine

    def retune(self, said: str) -> None:
        """Be another engine, which hears something else."""
        self._ears = ScriptedTranscriber((said,))

    def transcribe(self, recordings: Iterable[ToHear]) -> Iterator[tuple[str, Heard | Exception]]:
        return self._ears.transcribe(map(self._counted, recordings))

    def _counted(self, recording: ToHear) -> ToHear:
        self.heard += 1
        return dataclasses.replace(recording, blocks=lambda: self._opened(recording))

    def _opened(self, recording: ToHear) -> Iterable[Block]:
        if self.broken:
            raise self.broken
        return recording.blocks()


class PromptedNotes:
    """Notes whose prompt can be changed and whose routes can be down, as those of routes; the words are the offline
    writer's.
    """

    writer: Literal["llm"] = "llm"

    def __init__(self) -> None:
        self.prompt = "note-one"
        self.is_down = False
        self.broken: PermanentError | None = None
        self.asked: list[str] = []
        self._words = offline_notes()

    def prompt_versions(self, owner: Owner) -> frozenset[str]:
        return frozenset((self.prompt,))

    def versions(self, asked: ToWrite) -> frozenset[str]:
        return frozenset((self._version(asked, self.prompt),))

    def form(self, asked: ToWrite) -> tuple[Template, str | None]:
        return self._words.form(asked)

    def write(self, asked: Sequence[ToWrite], run: str) -> Iterator[tuple[str, Written | Exception]]:
        for one in asked:
            self.asked.append(one.recording.key)
            yield one.recording.key, self.broken or self._written(one)

    def _written(self, one: ToWrite) -> Written:
        note = dataclasses.replace(self._words.note_of(one), writer="llm")
        if self.is_down:
            return Written(
                dataclasses.replace(note, writer="offline", degraded=True, version=self._version(one, "stand-in"))
            )
        return Written(dataclasses.replace(note, prompt_version=self.prompt, version=self._version(one, self.prompt)))

    def _version(self, asked: ToWrite, made_with: str) -> str:
        return note_version(asked.transcript, made_with, asked.recording.recorded_at, asked.recording.title)


class ScriptedWiring(Wiring):
    """The product's wiring with scripted ears."""

    ears: CountingTranscriber

    def transcriber(self, model: str) -> Transcriber:
        return self.ears


def on_sqlite(home: Path) -> dict[str, object]:
    """What the embedded dagster.yaml says of its storage."""
    module = "diary_pipeline.instance.event_storage"
    return {"module": module, "class": "BatchingSqliteStorage", "config": {"base_dir": str(home)}}


def on_postgres(url: str) -> dict[str, object]:
    """What dagster.postgres.yaml says of its storage."""
    module = "diary_pipeline.instance.postgres_storage"
    return {"module": module, "class": "BatchingPostgresStorage", "config": {"postgres_url": url}}


class House:
    """Drop files, tick sensors, execute what they ask for, look at what came of it."""

    def __init__(self, home: Path, *, dagster_storage: Mapping[str, object] | None = None, **environment: str) -> None:
        """Take what dagster.yaml says of storage; None: the embedded one."""
        said = (
            {"DIARY_HOME": str(home), "DIARY_TIME_ZONE": "UTC"} | dict.fromkeys(AT_ONCE, "0") | {"DIARY_LEASE_S": "3"}
        )
        self.settings = load_settings({**said, **environment})
        self.wiring = ScriptedWiring(self.settings)
        self.wiring.ears = CountingTranscriber()
        self.ledger = self.wiring.ledger
        self._dagster_storage = dagster_storage
        self.later_s = 0.0
        """How much later it is than the clock says."""
        self.breaks_publishing = False
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        home = self.settings.dagster_home
        home.mkdir(parents=True, exist_ok=True)  # a house may be left and entered again
        self.settings.drop_dir.mkdir(parents=True, exist_ok=True)
        storage = self._dagster_storage or {"custom": on_sqlite(home)}
        (home / "dagster.yaml").write_text(yaml.safe_dump({"storage": storage, "telemetry": {"enabled": False}}))
        self.instance = self._stack.enter_context(dg.DagsterInstance.from_config(str(home)))
        self.recovery = Recovery(
            self.ledger,
            self.wiring.store,
            lease_s=self.settings.lease_s,
            max_attempts=self.settings.max_attempts,
            retry_after_s=self.settings.retries,
            clock=lambda: time.time() + self.later_s,
        )
        dispatcher = Dispatcher(self.ledger, self.recovery, self.wiring.limits)
        # Publishing in this process is safe here: nothing in it keeps the catalogue open.
        changes = {
            "dispatcher": dispatcher,
            "publisher": self.publish,
            "eraser": Eraser(self.wiring, self.wiring.publisher.compact),
        }
        self.defs = build_defs(self.settings, {**resources(self.wiring), **changes})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def drop(self, name: str, samples: np.ndarray | None = None, seconds: float = 2.0, **changes: object) -> Path:
        """Put a recording into the watched folder."""
        path = self.settings.drop_dir / name
        write_audio(path, speech_like(seconds) if samples is None else samples, **changes)
        return path

    def tick(self, sensor: str) -> Sequence[dg.RunRequest]:
        """Evaluate a sensor once, as the daemon does."""
        return drain.tick(self.defs, self.instance, sensor)

    def execute(self, sensor: str, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        """Execute what a sensor asked for; a run that fails is returned, not raised."""
        done = drain.execute(self.defs, self.instance, sensor, request)
        assert done is not None, f"the run key {request.run_key} was used"
        return done

    def once(self) -> list[dg.ExecuteInProcessResult]:
        """Tick every sensor and execute whatever it asks for."""
        return [self.execute(name, request) for name in drain.SENSORS for request in self.tick(name)]

    def publish(self) -> dict[str, object]:
        """Publish in this process."""
        if self.breaks_publishing:
            raise ServiceMissing("publish_failed", "Publishing failed: no room on the disk.")
        return vars(self.wiring.publisher.publish())

    @contextmanager
    def unwritable_store(self) -> Iterator[None]:
        """Put a file where the store wants its folder."""
        objects = self.settings.object_dir
        aside = objects.rename(objects.with_name("aside"))
        objects.write_text("in the way")
        try:
            yield
        finally:
            objects.unlink()
            aside.rename(objects)

    def sql(self, query: str) -> list[tuple[object, ...]]:
        """Ask the published file."""
        with duckdb.connect(str(self.settings.catalogue_file), read_only=True) as conn:
            return conn.execute(query).fetchall()

    def keys(self) -> list[str]:
        """All partition keys, in order of insertion."""
        return list(self.instance.get_dynamic_partitions(RECORDINGS.name))

    def status(self, asset: str) -> tuple[set[str], set[str]]:
        """(materialised, failed) partitions as the UI shows them."""
        cached = get_and_update_asset_status_cache_value(self.instance, dg.AssetKey(asset), RECORDINGS)
        if cached is None:
            return set(), set()
        done = cached.deserialize_materialized_partition_subsets(RECORDINGS)
        failed = cached.deserialize_failed_partition_subsets(RECORDINGS)
        return set(done.get_partition_keys()), set(failed.get_partition_keys())

    def checks(self, asset: str, name: str) -> dict[str, str]:
        """Partition -> newest status of one asset check."""
        key = dg.AssetCheckKey(dg.AssetKey(asset), name)
        history = self.instance.event_log_storage.get_asset_check_execution_history(key, limit=1000)
        return {h.partition: h.status.value for h in reversed(history) if h.partition}
