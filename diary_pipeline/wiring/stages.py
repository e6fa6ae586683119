"""What brings recordings forward: the way in, the speech stage, the note stage, and what writes notes.

No rule lives here.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

from diary_pipeline.core.batch import Result, Stage
from diary_pipeline.core.owner import Owner
from diary_pipeline.core.recording import Recording
from diary_pipeline.intake.addresses import Guard
from diary_pipeline.intake.fetch import FetchLimits
from diary_pipeline.intake.fetch_gs import GsFetcher
from diary_pipeline.intake.fetch_http import HttpFetcher
from diary_pipeline.intake.fetcher import Fetcher
from diary_pipeline.intake.guarded_http import GuardedHttp
from diary_pipeline.intake.resumable import Resumable
from diary_pipeline.intake.work import Intake
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
from diary_pipeline.transcription.batch import TranscribeBatch
from diary_pipeline.transcription.files import TranscriptFiles
from diary_pipeline.upkeep.files import Files
from diary_pipeline.wiring.ears import Ears

ROUTED_NOTES = 48
"""Three rounds of as many notes as are written side by side."""


class Stages(Ears):
    """The stages of one deployment."""

    def __init__(self, settings: Settings, on_result: Callable[[Result], None] = lambda _: None) -> None:
        super().__init__(settings)
        self.on_result = on_result
        """Hears of each recording that a stage has done in this process."""
        self.on_progress: Callable[[Recording, float], None] = lambda _recording, _at_s: None
        """Hears how many seconds of a recording are transcribed, after each window."""

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
            scratch=s.scratch_dir,
            fetchers=self.fetchers,
            fetching=FetchLimits(s.fetch_at_once, s.fetch_timeout_s, s.fetch_retry_s),
            settle_s=s.settle_s,
            step_s=self._step_s,
            exclude=(s.object_dir, s.note_dir, s.transcript_dir, s.dagster_home),
        )

    @cached_property
    def resumable(self) -> Resumable:
        """Uploads that come in parts."""
        s = self.settings
        return Resumable(self.ledger, self.store, s.scratch_dir, s.upload_kept_hours * 3600)

    @cached_property
    def fetchers(self) -> Mapping[str, Fetcher]:
        """What fetches addresses, by scheme."""
        s = self.settings
        guard = Guard(s.fetch_hosts, s.fetch_ports)
        web = HttpFetcher(GuardedHttp(guard, connect_s=s.fetch_connect_s, idle_s=s.fetch_idle_s))
        return {"http": web, "https": web, "gs": GsFetcher()}

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
            retry_after_s=self.settings.retries,
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
            retry_after_s=s.retries,
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

    @property
    def limits(self) -> Mapping[Stage, PlanLimits]:
        """How large batches may become, by stage."""
        s = self.settings
        return {
            "transcript": PlanLimits(
                s.transcript_batch_audio_minutes,
                s.transcript_batch_recordings,
                s.transcript_batches_open,
                step_s=self._step_s,
            ),
            "note": PlanLimits(s.note_batch_audio_minutes, self._notes_a_run, s.note_batches_open, step_s=self._step_s),
        }

    @property
    def _step_s(self) -> float:
        """Of waiting, which lifts by one priority: at the door and in batches."""
        return self.settings.priority_step_minutes * 60

    @property
    def _notes_a_run(self) -> int:
        """Notes by routes take seconds to minutes each, and a run commits when all of its notes are written."""
        most = self.settings.note_batch_recordings
        return min(most, ROUTED_NOTES) if self.settings.llm.routes else most
