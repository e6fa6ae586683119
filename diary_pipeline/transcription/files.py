"""Transcripts as files, one folder a day: an export for people and players. Nothing of ours reads it back.

In sync means: whenever a recording is transcribed, or found transcribed, exactly the formats that the setting names lie
under the day of the recording. A file of another format or day goes, because its text would be an old one. Recordings
that no run touches keep their files.

The surprise: only their owner may read them (0600, new folders 0700), whatever the umask says. It is a diary.
"""

import contextlib
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from pathlib import Path

from diary_pipeline.core.recording import Recording
from diary_pipeline.core.transcript import Transcript
from diary_pipeline.observability.logs import log
from diary_pipeline.storage.private import write_private
from diary_pipeline.transcription.renderers.formats import RENDERERS, TranscriptFormat

NEXT = "make room or set DIARY_TRANSCRIPT_DIR, then launch the transcript again; nothing else is lost"

logger = log(__name__)


class TranscriptFiles:
    """The folder `<root>/<day>/<recording key>.<format>`."""

    def __init__(self, root: Path, formats: Iterable[TranscriptFormat]) -> None:
        self.root = root
        self.formats = tuple(dict.fromkeys(formats))

    def sync(self, transcripts: Iterable[tuple[Recording, Transcript]]) -> Mapping[str, Mapping[str, str]]:
        """Bring the files of these recordings in line; by key, what metadata tells of them.

        What goes wrong (a full disk) costs the files and an error in the log, never the transcript.
        """
        known = {recording.key: (recording, transcript) for recording, transcript in transcripts}
        lying = self._lying(known)
        told: dict[str, Mapping[str, str]] = {}
        for key, (recording, transcript) in known.items():
            try:
                written = self._write(recording, transcript)
                for stale in lying[key] - set(written):
                    stale.unlink(missing_ok=True)
                told[key] = {f"transcript_{path.suffix[1:]}": path.as_uri() for path in written}
            except Exception as error:  # noqa: BLE001 - the transcript is committed: no file may fail its run
                cause = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
                # No traceback: it could quote what was said.
                logger.error("transcript_files_not_written", key=key, folder=str(self.root), error=cause, next=NEXT)  # noqa: TRY400
                told[key] = {"transcript_files_not_written": f"{self.root}: {cause}; {NEXT}"}
        return told

    def _lying(self, keys: Container[str]) -> defaultdict[str, set[Path]]:
        # One pass for a whole batch, because day and formats may have been others before: 0.13 s for ten years of days.
        lying: defaultdict[str, set[Path]] = defaultdict(set)
        with contextlib.suppress(OSError):  # a disk that is gone is told with the files it does not take
            for path in self.root.glob("????-??-??/*.*"):
                if path.stem in keys and path.suffix[1:] in RENDERERS:
                    lying[path.stem].add(path)
        return lying

    def _write(self, recording: Recording, transcript: Transcript) -> list[Path]:
        folder = self.root / recording.recorded_at.day.isoformat()
        written = []
        for form in self.formats:
            path = folder / f"{recording.key}.{form}"
            _replace(path, RENDERERS[form](recording, transcript).encode())
            written.append(path)
        return written


def _replace(path: Path, content: bytes) -> None:
    # A file that is right already keeps its time, for whatever watches the folder.
    with contextlib.suppress(FileNotFoundError):
        if path.read_bytes() == content:
            return
    write_private(path, content)
