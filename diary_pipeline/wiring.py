"""Where settings become objects: the one composition root that the Dagster layer and the command line share.

Everything is built on first use and once per process: one connection pool, one loaded model. No rule lives here.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from diary_pipeline.audio.limits import AudioLimits
from diary_pipeline.catalogue.publication import Publication
from diary_pipeline.core.batch import Result, Stage
from diary_pipeline.core.errors import DiaryError, ServiceMissing
from diary_pipeline.core.owner import Owner
from diary_pipeline.core.recording import Recording
from diary_pipeline.core.seal import Seal
from diary_pipeline.intake.work import Intake
from diary_pipeline.ledger import erasures
from diary_pipeline.ledger.connect import Ledger, open_ledger
from diary_pipeline.ledger.planner import PlanLimits
from diary_pipeline.notes.batch import WriteNotes
from diary_pipeline.notes.editing import EditDiary
from diary_pipeline.notes.offline.notes import OfflineNotes
from diary_pipeline.notes.renderers.template import DEFAULT, Templates
from diary_pipeline.notes.routed.forecast import Asked, Forecast, forecast
from diary_pipeline.notes.routed.notes import RoutedNotes, Wishes
from diary_pipeline.notes.routing.choosing import Policy
from diary_pipeline.notes.routing.ledger_memory import LedgerMemory, LedgerPurse, StoredAnswers
from diary_pipeline.notes.routing.router import Router
from diary_pipeline.notes.stale import StaleNotes
from diary_pipeline.notes.writer import NoteWriter, ToWrite
from diary_pipeline.settings import Settings
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline.storage.gcs import GcsStore
from diary_pipeline.storage.private import secret_in
from diary_pipeline.storage.store import ObjectStore
from diary_pipeline.transcription.batch import TranscribeBatch
from diary_pipeline.transcription.files import TranscriptFiles
from diary_pipeline.transcription.transcriber import Transcriber
from diary_pipeline.upkeep.erase import Erase
from diary_pipeline.upkeep.files import Files
from diary_pipeline.upkeep.partitions import Partitions
from diary_pipeline.upkeep.places import Elsewhere, ExportedFiles, Log, StoredObjects
from diary_pipeline.upkeep.receipts import what_remains
from diary_pipeline.upkeep.reprocess import Reprocess
from diary_pipeline.upkeep.retain import Retention

if TYPE_CHECKING:
    from diary_pipeline.catalogue.dbt_notes.build import Marts
    from diary_pipeline.catalogue.publisher import Publisher
    from diary_pipeline.catalogue.search_index import SearchIndex
    from diary_pipeline.catalogue.search_meaning import Embedder
    from diary_pipeline.transcription.server.connection import TranscriptionServer
    from diary_pipeline.transcription.whisper.faster_whisper import FasterWhisperTranscriber
    from diary_pipeline.upkeep.growth import Growth


SEAL_FILE = "erasure.key"
ROUTED_NOTES = 48
"""Three rounds of as many notes as are written side by side."""
DAY_S = 86_400.0


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
        """The object store: the bucket where one is named, else the folder."""
        return self.bucket_store or FolderStore(self.settings.object_dir)

    @cached_property
    def bucket_store(self) -> GcsStore | None:
        """The bucket, for what only a store that machines share can do: publishing the catalogue file there."""
        s = self.settings
        return GcsStore(s.bucket, s.home / "copies", s.bucket_copies_mb) if s.bucket else None

    @cached_property
    def publication(self) -> Publication | None:
        """Where the published file is uploaded to after each swap; None: there is no bucket."""
        return Publication(self.bucket_store) if self.bucket_store else None

    @cached_property
    def seal(self) -> Seal:
        """The secret of tombstones and receipts: its setting's, or that of a file which the first use makes."""
        return Seal(self.settings.erasure_key or secret_in(self.settings.home / SEAL_FILE))

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
            seal=self.seal,
            scratch=s.home / "scratch",
            settle_s=s.settle_s,
            exclude=(s.object_dir, s.note_dir, s.transcript_dir, s.dagster_home),
        )

    @cached_property
    def transcribe(self) -> TranscribeBatch:
        """The speech stage."""
        return TranscribeBatch(
            self.ledger,
            self.store,
            self.transcriber,
            self.settings.owner,
            self.audio_limits,
            files=self.files.transcripts,
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
            note_dir=self.files.note_dir,
            usd_per_audio_hour=s.llm.policy.audio_hour_budget_usd,
        )

    @property
    def edit(self) -> EditDiary:
        """What owners correct recordings with."""
        files = self.files
        return EditDiary(
            self.ledger,
            self.store,
            self.note_writer,
            files.note_dir,
            lambda recording, transcript: files.transcripts.sync([(recording, transcript)]),
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

    @cached_property
    def files(self) -> Files:
        """Where notes and transcripts also lie as files."""
        s = self.settings
        transcripts = TranscriptFiles(s.transcript_dir, s.transcript_files)
        return Files(self.ledger, self.store, s.note_dir if s.write_note_files else None, transcripts)

    @cached_property
    def reprocess(self) -> Reprocess:
        """What looks chosen recordings over and plans those that are not current."""
        s = self.settings
        return Reprocess(
            self.ledger,
            self.store,
            s.catalogue_file,
            version_of=self.transcribe.version_of,
            writer=self.note_writer,
            owners=s.owner,
            forecast=self.forecast,
        )

    def forecast(self, asked: Sequence[ToWrite]) -> Forecast:
        """Say what notes would take, on the routes that have what a call needs; asks nobody."""
        s, policy = self.settings, self.settings.llm.policy
        return forecast(
            asked,
            Asked(
                s.llm.usable,
                LedgerMemory(self.ledger).standings([route.name for route in s.llm.usable]),
                StoredAnswers(self.store).of,
                s.owner,
                OfflineNotes(s.owner, self.templates),
                Wishes(policy.redact, policy.local_only, policy.judge),
                self.policy,
            ),
        )

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

    @cached_property
    def search_index(self) -> "SearchIndex":
        """The file that follows the catalogue and is searched."""
        from diary_pipeline.catalogue.search_index import SearchIndex

        return SearchIndex(self.settings.search_file)

    @cached_property
    def embedder(self) -> "Embedder | None":
        """What finds by meaning; None: nothing is configured. ServiceMissing when its weights are not here."""
        s = self.settings
        if s.embedder == "minilm":
            from diary_pipeline.notes.embedding.minilm import MiniLM
            from diary_pipeline.notes.embedding.weights import find

            return MiniLM(find(s.model_dir))
        if s.embedder == "openai-compatible":
            from diary_pipeline.notes.embedding.openai_compatible import OpenAICompatibleEmbedder

            url = s.embedding_url or ""
            return OpenAICompatibleEmbedder(
                url, s.embedding_model, s.embedding_api_key, is_remote=not s.embedding_local
            )
        return None

    def is_private(self, user_id: str) -> bool:
        """Say whether a diary may not leave the machines of the deployment."""
        return self.settings.llm.policy.local_only or self.settings.owner(user_id).local_only

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

    def erase(self, partitions: Partitions, compact: Callable[[], object]) -> Erase:
        """Give what finishes erasures; `compact` publishes and writes the catalogue anew, in a process of its own."""
        s = self.settings
        return Erase(
            self.ledger,
            self.seal,
            partitions,
            places=(
                Elsewhere(
                    "marts", lambda _: self.settings.marts_file.unlink(missing_ok=True)
                ),  # or a publish carries them on
                Elsewhere("catalogue", lambda _: compact()),
                Log(self.ledger, self.store),
                StoredObjects(self.store),
                ExportedFiles({"notes": s.note_dir, "transcripts": s.transcript_dir}),
            ),
            receipts=self.receipt_dir,
            remains=what_remains(on_server=not s.ledger_url.startswith("sqlite"), in_bucket=False),
        )

    @property
    def receipt_dir(self) -> Path:
        """Folder of the receipts of erasures."""
        return self.settings.home / "receipts"

    @property
    def backup_places(self) -> Mapping[str, Path]:
        """What belongs to a backup beside ledger and objects, by name."""
        s = self.settings
        exports = {"notes": s.note_dir, "transcripts": s.transcript_dir}
        return {"dagster": s.dagster_home, SEAL_FILE: s.home / SEAL_FILE, "receipts": self.receipt_dir, **exports}

    @property
    def derived_files(self) -> Sequence[Path]:
        """What is made from ledger and objects, and must not outlive another ledger."""
        live = self.settings.catalogue_file
        return [
            path for made in (live, self.settings.marts_file) for path in (made, *made.parent.glob(f".{made.name}.*"))
        ]

    @cached_property
    def retention(self) -> Retention:
        """What is kept for how long."""
        s = self.settings
        return Retention(
            self.ledger,
            self.store,
            s.usual_owner(s.default_owner),
            tuple(s.owners.values()),
            lambda key: erasures.hide(self.ledger, self.seal, "recording", key),
        )

    @property
    def compact_command(self) -> list[str]:
        """The program that publishes and leaves no byte of deleted rows."""
        return [*self.publish_command, "--compact"]

    @cached_property
    def publisher(self) -> "Publisher":
        """The publisher; use it in a process that does not read the catalogue."""
        from diary_pipeline.catalogue.publisher import Publisher

        return Publisher(
            self.ledger,
            self.store,
            self.settings.catalogue_file,
            marts_file=self.settings.marts_file,
            followers=(self.search_index,),
        )

    def growth(self, compact: Callable[[], object]) -> "Growth":
        """What keeps the catalogue small; `compact` rewrites the published file in a process of its own."""
        from diary_pipeline.upkeep.growth import Growth

        return Growth(self.ledger, self.store, self.publisher, compact, self.settings.rollback_days * DAY_S)

    @property
    def marts(self) -> "Marts":
        """The tables that dbt builds out of the published file."""
        from diary_pipeline.catalogue.dbt_notes.build import Marts

        return Marts(self.settings.catalogue_file, self.settings.marts_file)

    @property
    def publish_command(self) -> list[str]:
        """The program that publishes: its own process, because a process that reads the catalogue must not write it."""
        return [sys.executable, "-m", "diary_pipeline.cli.main", "publish", "--format", "json"]
