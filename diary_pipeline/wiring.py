"""Where settings become objects: the one composition root that the Dagster layer and the command line share.

Everything is built on first use and once per process: one connection pool, one loaded model. No rule lives here.
"""

import sys
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from diary_pipeline.audio.limits import AudioLimits
from diary_pipeline.core.batch import Result, Stage
from diary_pipeline.core.errors import DiaryError, ServiceMissing
from diary_pipeline.core.owner import Owner
from diary_pipeline.core.recording import Recording
from diary_pipeline.intake.work import Intake
from diary_pipeline.ledger.connect import Ledger, open_ledger
from diary_pipeline.ledger.planner import PlanLimits
from diary_pipeline.notes.batch import WriteNotes
from diary_pipeline.notes.offline.notes import OfflineNotes
from diary_pipeline.notes.renderers.template import DEFAULT, Templates
from diary_pipeline.notes.routed.notes import RoutedNotes, Wishes
from diary_pipeline.notes.routing.choosing import Policy
from diary_pipeline.notes.routing.ledger_memory import LedgerMemory, LedgerPurse, StoredAnswers
from diary_pipeline.notes.routing.router import Router
from diary_pipeline.notes.stale import StaleNotes
from diary_pipeline.notes.writer import NoteWriter
from diary_pipeline.settings import Settings
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline.storage.store import ObjectStore
from diary_pipeline.transcription.batch import TranscribeBatch
from diary_pipeline.transcription.files import TranscriptFiles
from diary_pipeline.transcription.transcriber import Transcriber

if TYPE_CHECKING:
    from diary_pipeline.catalogue.dbt_notes.build import Marts
    from diary_pipeline.transcription.server.connection import TranscriptionServer
    from diary_pipeline.transcription.whisper.faster_whisper import FasterWhisperTranscriber


ROUTED_NOTES = 48
"""Three rounds of as many notes as are written side by side."""


class Wiring:
    """The objects of one deployment."""

    def __init__(self, settings: Settings, on_result: Callable[[Result], None] = lambda _: None) -> None:
        self.settings = settings
        self.on_result = on_result
        """Hears of each recording that a stage has done in this process."""
        self.on_progress: Callable[[Recording, float], None] = lambda _recording, _at_s: None
        """Hears how many seconds of a recording are transcribed, after each window."""
        self._served: dict[str, Transcriber] = {}

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger at `DIARY_LEDGER_URL`, its schema brought up to date."""
        return open_ledger(self.settings.ledger_url)

    @cached_property
    def store(self) -> ObjectStore:
        """The object store: a folder."""
        return FolderStore(self.settings.object_dir)

    @cached_property
    def intake(self) -> Intake:
        """The way in for files."""
        s = self.settings
        return Intake(
            self.ledger,
            self.store,
            owners=s.owner,
            limits=self.audio_limits,
            default_model=s.whisper_model,
            allowed_models=s.allowed_models,
            scratch=s.home / "scratch",
            settle_s=s.settle_s,
            exclude=(s.object_dir, s.note_dir, s.transcript_dir, s.dagster_home),
        )

    @cached_property
    def transcribe(self) -> TranscribeBatch:
        """The speech stage."""
        s = self.settings
        files = TranscriptFiles(s.transcript_dir, s.transcript_files)
        return TranscribeBatch(
            self.ledger,
            self.store,
            self.transcriber,
            s.owner,
            self.audio_limits,
            files=files,
            on_progress=self._told_progress,
        )

    def _told_progress(self, recording: Recording, at_s: float) -> None:
        self.on_progress(recording, at_s)  # whoever wants to hear it may come after the stage was built

    @cached_property
    def write_note(self) -> WriteNotes:
        """The note stage."""
        s = self.settings
        return WriteNotes(
            self.ledger,
            self.store,
            self.note_writer,
            note_dir=s.note_dir if s.write_note_files else None,
            usd_per_audio_hour=s.llm.policy.audio_hour_budget_usd,
        )

    @cached_property
    def note_writer(self) -> NoteWriter:
        """The routes, with the offline writer behind them; with no route configured the offline writer itself."""
        s, policy = self.settings, self.settings.llm.policy
        if not s.llm.routes:
            return OfflineNotes(s.owner, self.templates)
        wishes = Wishes(policy.redact, policy.local_only, policy.judge)
        return RoutedNotes(s.llm.routes, self.router, s.owner, self.templates, wishes)

    @cached_property
    def stale_notes(self) -> StaleNotes:
        """The notes that would be written otherwise today."""
        s = self.settings
        return StaleNotes(self.ledger, self.note_writer, s.owner, tuple(s.templates))

    def router(self, run: str) -> Router:
        """Open the routes for a run, which has a budget of its own."""
        answers_of = StoredAnswers(self.store).of
        return Router(self.settings.llm.routes, LedgerMemory(self.ledger), answers_of, self.purse(run), self.policy)

    def purse(self, run: str) -> LedgerPurse:
        """Give what a run may spend."""
        s, policy = self.settings, self.settings.llm.policy
        return LedgerPurse(
            self.ledger,
            run,
            run_usd=policy.run_budget_usd,
            day_usd=policy.day_budget_usd,
            owner_day_usd=lambda name: s.owner(name).day_budget_usd,
        )

    @property
    def policy(self) -> Policy:
        """Give what weighs how much when a route is chosen."""
        said = self.settings.llm.policy
        return Policy(said.usd_per_second, said.patience_s, said.deadline_s, said.tries)

    def templates(self, owner: Owner) -> Templates:
        """Give the forms of an owner's notes."""
        known = self.settings.templates
        usual = known.get(owner.template or DEFAULT.name, DEFAULT)
        return Templates(usual, {tag: known.get(name, DEFAULT) for tag, name in owner.tag_templates})

    def transcriber(self, model: str) -> Transcriber:
        """Load the named model, or hand out the one this process has loaded already; or ask the configured server."""
        if self.settings.transcriber == "openai":
            return self._behind_server(model)
        other = self.settings.repair_model
        if other in ("", model):
            return self._whisper(self._weights(model), model)
        return self._whisper(self._weights(model), model, self._whisper(self.demand_repair_model(), other))

    def _weights(self, model: str) -> Path:
        from diary_pipeline.transcription.weights.models import resolve

        return resolve(model, self.settings.model_dir)

    def demand_repair_model(self) -> Path:
        """Give the folder of the model that hears again; ServiceMissing, also for a name that can be none.

        Such a name is the deployment's fault, and a permanent error here would fail every recording.
        """
        name = self.settings.repair_model
        try:
            return self._weights(name)
        except DiaryError as error:
            raise ServiceMissing(
                "model_missing",
                f"DIARY_REPAIR_MODEL {name} is not on this machine: run `diary models get {name}`, or leave it empty.",
            ) from error

    def _whisper(
        self, folder: Path, model: str, other: "FasterWhisperTranscriber | None" = None
    ) -> "FasterWhisperTranscriber":
        from diary_pipeline.transcription.whisper.faster_whisper import Tuning, load_transcriber

        s = self.settings
        return load_transcriber(
            folder,
            model,
            Tuning(s.device, s.compute_type, s.cpu_threads, s.beam_size, s.window_batch_size, s.repair_ladder),
            other,
        )

    def demand(self, model: str) -> None:
        """Raise when recordings cannot be transcribed: no such weights, device, precision or server."""
        if self.settings.transcriber == "openai":
            self.transcription_server(model).models()
            return
        from diary_pipeline.transcription.devices.device import choose

        s = self.settings
        choose(s.device, s.compute_type, batch_size=s.window_batch_size, model=self._weights(model))
        if self.settings.repair_model:
            self.demand_repair_model()

    def transcription_server(self, model: str) -> "TranscriptionServer":
        """The server at `DIARY_TRANSCRIPTION_URL`, for one of its models."""
        from diary_pipeline.transcription.server.connection import TranscriptionServer

        return TranscriptionServer(self.settings.transcription_url or "", model, self.settings.transcription_api_key)

    def _behind_server(self, model: str) -> Transcriber:
        from diary_pipeline.transcription.server.openai_compatible import OpenAICompatibleTranscriber, judged

        if model not in self._served:  # kept, because it remembers what the server can tell
            server = self.transcription_server(model)
            concurrency = self.settings.transcription_concurrency
            self._served[model] = OpenAICompatibleTranscriber(server, concurrency=concurrency, repair=judged)
        return self._served[model]

    @property
    def audio_limits(self) -> AudioLimits:
        """What audio is taken at all."""
        s = self.settings
        return AudioLimits(s.max_file_size_mb * 1_000_000, s.min_audio_s, s.max_audio_s)

    @property
    def limits(self) -> Mapping[Stage, PlanLimits]:
        """How large batches may become, by stage."""
        s = self.settings
        return {
            "transcript": PlanLimits(
                s.transcript_batch_audio_minutes, s.transcript_batch_recordings, s.transcript_batches_open
            ),
            "note": PlanLimits(s.note_batch_audio_minutes, self._notes_a_run, s.note_batches_open),
        }

    @property
    def _notes_a_run(self) -> int:
        """Notes by routes take seconds to minutes each, and a run commits when all of its notes are written."""
        most = self.settings.note_batch_recordings
        return min(most, ROUTED_NOTES) if self.settings.llm.routes else most

    @property
    def marts(self) -> "Marts":
        """The tables that dbt builds out of the published file."""
        from diary_pipeline.catalogue.dbt_notes.build import Marts

        return Marts(self.settings.catalogue_file, self.settings.marts_file)

    @property
    def publish_command(self) -> list[str]:
        """The program that publishes: its own process, because a process that reads the catalogue must not write it."""
        return [sys.executable, "-m", "diary_pipeline.cli.main", "publish"]
