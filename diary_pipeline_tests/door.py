"""A door with its stores, for tests of intake."""

from collections.abc import Callable, Mapping
from pathlib import Path

from diary_pipeline.audio.limits import AudioLimits
from diary_pipeline.core.owner import Owner
from diary_pipeline.core.recording import Recording
from diary_pipeline.core.seal import Seal
from diary_pipeline.intake.fetch import FetchLimits
from diary_pipeline.intake.fetcher import Fetcher
from diary_pipeline.intake.receive import Received
from diary_pipeline.intake.sources import WatchedFolder
from diary_pipeline.intake.work import Intake, IntakeReport
from diary_pipeline.ledger import recordings, submissions
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.submissions import Submission
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline_tests.builders import speech_like, write_audio

LIMITS = AudioLimits(max_size_bytes=1_000_000, max_s=60)
SEAL = Seal("of these tests")


class House:
    """One door with its stores, and a clock that stands far behind every file."""

    def __init__(self, ledger: Ledger, folder: Path) -> None:
        self.ledger = ledger
        self.inbox = folder / "inbox"
        self.inbox.mkdir()
        self.store = FolderStore(folder / "objects")
        self.scratch = folder / "scratch"
        self.time = 4_000_000_000.0
        self.meanwhile: Callable[[], None] = lambda: None
        """What happens to a file between the first look and the reading."""
        self.door = self.another_door()

    def another_door(
        self,
        store: FolderStore | None = None,
        limits: AudioLimits = LIMITS,
        fetchers: Mapping[str, Fetcher] | None = None,
        fetching: FetchLimits | None = None,
    ) -> Intake:
        return Intake(
            self.ledger,
            store or self.store,
            owners=self.owner,
            limits=limits,
            default_model="tiny.en",
            allowed_models=("tiny.en", "base"),
            seal=SEAL,
            scratch=self.scratch,
            fetchers=fetchers,
            fetching=fetching,
            clock=lambda: self.time,
        )

    def owner(self, user: str) -> Owner:
        self.meanwhile()
        return Owner(user, time_zone="Asia/Tokyo")

    def sound(self, name: str, pitch_hz: float = 140.0, seconds: float = 1.0) -> Path:
        path = self.inbox / name
        made = write_audio(self.inbox / "made.wav", speech_like(seconds, pitch_hz=pitch_hz))
        path.parent.mkdir(parents=True, exist_ok=True)
        return made.rename(path)

    def submit(self, *paths: str | Path, owner: str = "me", **options: object) -> list[str]:
        return self.door.submit(paths, owner, "cli", options)

    def scan(self, **folder: object) -> list[str]:
        return self.door.scan([WatchedFolder(self.inbox, **folder)])  # type: ignore[arg-type]

    def work(self, on_submission: Callable[[Received], None] = lambda _: None) -> IntakeReport:
        return self.door.work(60, 1_000, on_submission)

    def take(self, path: Path, owner: str = "me", **options: object) -> Submission:
        (id,) = self.submit(path, owner=owner, **options)
        self.work()
        return self.row(id)

    def row(self, id: str) -> Submission:
        with self.ledger.reading() as conn:
            return submissions.get(conn, [id])[0]

    def recording(self, key: str | None) -> Recording:
        assert key
        with self.ledger.reading() as conn:
            return recordings.get(conn, key)

    def count(self) -> int:
        return len(list(self.store.list("audio/")))


def broken_wav(house: House) -> Path:
    path = house.inbox / "noise.wav"
    path.write_bytes(bytes(range(256)) * 40)
    return path


def written(house: House, name: str, data: bytes) -> Path:
    (house.inbox / name).write_bytes(data)
    return house.inbox / name


def cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path
