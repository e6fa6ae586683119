"""What hears recordings: weights on this machine, or a server.

A model is loaded once per process. No rule lives here.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from diary_pipeline.core.errors import DiaryError, ServiceMissing
from diary_pipeline.settings import Settings
from diary_pipeline.transcription.transcriber import Transcriber
from diary_pipeline.wiring.stores import Stores

if TYPE_CHECKING:
    from diary_pipeline.transcription.server.connection import TranscriptionServer
    from diary_pipeline.transcription.whisper.faster_whisper import FasterWhisperTranscriber


class Ears(Stores):
    """The engines of one deployment."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._served: dict[str, Transcriber] = {}

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
