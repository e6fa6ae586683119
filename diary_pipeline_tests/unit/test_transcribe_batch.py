"""A batch commits what is good, says what is not, and finds what it made before. Real ledger, store and decoder."""

import datetime as dt
import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from diary_pipeline.catalogue.read import transcript_of
from diary_pipeline.core.batch import Batch, Lease, Result, StageReport
from diary_pipeline.core.errors import ServiceMissing
from diary_pipeline.core.owner import Owner
from diary_pipeline.core.recording import RecordedAt, Recording, partition_key
from diary_pipeline.core.transcript import Engine
from diary_pipeline.ledger import recordings, submissions
from diary_pipeline.ledger.claims import claim_keys, release
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.leases import Heartbeat
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.ledger.recordings import accept
from diary_pipeline.ledger.tables import work
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline.storage.keys import audio_key
from diary_pipeline.transcription.batch import TranscribeBatch
from diary_pipeline.transcription.scripted import ScriptedTranscriber
from diary_pipeline.transcription.transcriber import Heard, Hints, ToHear, Transcriber
from diary_pipeline_tests.builders import silence, speech_like, write_audio

TEXT = "I went for a walk. The water was high."


class Counting:
    """Another transcriber that counts what it is asked, and may break on a recording of a given length."""

    def __init__(self, inner: Transcriber, breaks_at: int = -1) -> None:
        self.inner = inner
        self.breaks_at = breaks_at
        self.heard: list[Hints] = []

    @property
    def engine(self) -> Engine:
        return self.inner.engine

    def transcribe(self, recordings: Iterable[ToHear]) -> Iterator[tuple[str, Heard | Exception]]:
        for key, found in self.inner.transcribe(map(self._counted, recordings)):
            broken = isinstance(found, Heard) and found.samples == self.breaks_at
            yield key, KeyError(TEXT) if broken else found

    def _counted(self, recording: ToHear) -> ToHear:
        self.heard.append(recording.hints)
        return recording


class House:
    """One ledger and one store with recordings in them."""

    def __init__(self, folder: Path, transcriber: Transcriber | None = None) -> None:
        self.folder = folder
        self.ledger: Ledger = open_ledger(f"sqlite:///{folder / 'ledger.db'}")
        self.store = FolderStore(folder / "objects")
        self.transcriber = Counting(transcriber or ScriptedTranscriber([TEXT]))
        self.owner = Owner("me", languages=("en",), vocabulary=("Daniel",))
        self.transcribers: Callable[[str], Transcriber] = lambda _: self.transcriber

    def add(
        self,
        name: str,
        samples: np.ndarray,
        *,
        declared_s: float | None = None,
        says_how_long: bool = True,
        cut: int | None = None,
        **wishes: Any,
    ) -> str:
        path = write_audio(self.folder / name, samples)
        if cut is not None:
            path.write_bytes(path.read_bytes()[:cut])
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        at = dt.datetime(2026, 3, 7, 6, 45, tzinfo=dt.UTC)
        submission = submissions.submit(
            self.ledger, owner="me", source="cli", uri=str(path), file_name=name, options={}, priority="medium"
        )
        recording = Recording(
            key=partition_key(at.date(), name, "me", content),
            owner="me",
            content_sha256=content,
            file_name=name,
            object_key=audio_key("me", content),
            size_bytes=path.stat().st_size,
            container="wav",
            declared_s=(declared_s or len(samples) / 16_000) if says_how_long else None,
            recorded_at=RecordedAt(at, "UTC", "file_name", 0.9, at.date()),
            whisper_model="tiny.en",
            submission_id=submission,
            **wishes,
        )
        self.store.put_file(recording.object_key, path)
        return accept(self.ledger, submission, recording, 1, len(samples) / 16_000).key

    def claim(self, *keys: str, holder: str = "run-1") -> Batch:
        return claim_keys(self.ledger, "transcript", list(keys), holder, 60)

    def transcribe(self, batch: Batch, on_result: Callable[[Result], None] = lambda _: None) -> StageReport:
        return TranscribeBatch(self.ledger, self.store, self.transcribers, lambda _: self.owner)(batch, on_result)

    def status(self, key: str) -> tuple[str, str | None]:
        with self.ledger.reading() as conn:
            (row,) = recordings.rows(conn, [key])
        return row.status, row.reason_code


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_good_recordings_are_committed_together_with_figures_checks_and_a_preview(house: House) -> None:
    keys = [house.add("one.wav", speech_like(3)), house.add("two.flac", speech_like(4, pitch_hz=200))]
    told: list[str] = []
    report = house.transcribe(house.claim(*keys), lambda result: told.append(result.key))
    assert [(r.key, r.outcome) for r in report.results] == [(k, "committed") for k in sorted(keys)]
    assert sorted(told) == sorted(keys)
    assert report.commit_seq == 1
    assert {house.status(key) for key in keys} == {("generating_notes", None)}
    first = next(r for r in report.results if r.key == keys[0])
    assert first.metadata["duration_s"] == 3.0
    assert first.metadata["words"] == len(TEXT.split())
    assert first.metadata["model"] == "scripted"
    assert -12 < float(first.metadata["peak_dbfs"]) < -9
    assert {c.name for c in first.checks} == {
        "audio_is_complete",
        "transcript_covers_audio",
        "transcript_is_plausible",
        "language_is_certain",
    }
    assert all(c.passed for c in first.checks)
    assert first.preview.startswith("- `0:00` I went for a walk.")
    stored = transcript_of(house.ledger, house.store, keys[0])
    assert stored is not None
    assert stored.text == TEXT
    assert stored.version == first.metadata["transcript_version"]


def test_the_owners_languages_and_vocabulary_reach_the_engine(house: House) -> None:
    house.transcribe(house.claim(house.add("one.wav", speech_like(2))))
    assert house.transcriber.heard == [Hints(None, ("en",), ("Daniel",))]


def test_what_was_given_with_the_recording_stands_before_what_its_owner_always_says(house: House) -> None:
    key = house.add("one.wav", speech_like(2), language="en", vocabulary=("Mika", "Daniel", "ComfyUI"))
    house.transcribe(house.claim(key))
    assert house.transcriber.heard == [Hints("en", ("en",), ("Mika", "Daniel", "ComfyUI"))]


def test_what_the_owner_means_is_put_in_place_of_what_was_heard_which_is_kept(house: House) -> None:
    house.owner = Owner("me", replacements=(("walk", "run"),))
    key = house.add("one.wav", speech_like(3))
    house.transcribe(house.claim(key))
    stored = transcript_of(house.ledger, house.store, key)
    assert stored is not None
    first, second = stored.speech
    assert (first.text, first.raw_text) == ("I went for a run.", "I went for a walk.")
    assert [w.text for w in first.words] == ["I", "went", "for", "a", "run."]
    assert (second.text, second.raw_text) == ("The water was high.", None)


def test_a_second_run_finds_the_transcript_and_shows_it_again(house: House) -> None:
    key = house.add("one.wav", speech_like(3))
    (first,) = house.transcribe(house.claim(key)).results
    again = house.transcribe(house.claim(key, holder="run-2"))
    (second,) = again.results
    assert (second.outcome, again.commit_seq) == ("found", 0)
    assert len(house.transcriber.heard) == 1
    assert second.preview == first.preview
    assert second.metadata["words"] == first.metadata["words"]
    assert house.status(key) == ("generating_notes", None)


OTHERS = {
    "languages": Owner("me", languages=("en", "de"), vocabulary=("Daniel",)),
    "vocabulary": Owner("me", languages=("en",), vocabulary=("Martha",)),
    "replacements": Owner("me", languages=("en",), vocabulary=("Daniel",), replacements=(("water", "river"),)),
}


@pytest.mark.parametrize("change", ["engine", *OTHERS])
def test_another_engine_or_other_words_of_the_owner_make_another_transcript(house: House, change: str) -> None:
    key = house.add("one.wav", speech_like(3))
    house.transcribe(house.claim(key))
    if change == "engine":
        house.transcriber = Counting(ScriptedTranscriber(["It rained all day."]))
    else:
        house.owner = OTHERS[change]
    (result,) = house.transcribe(house.claim(key, holder="run-2")).results
    assert result.outcome == "committed"


def test_silence_is_a_good_recording_without_words(house: House) -> None:
    (result,) = house.transcribe(house.claim(house.add("quiet.wav", silence(5)))).results
    assert (result.outcome, result.metadata["words"], result.metadata["language"]) == ("committed", 0, "none")
    assert result.preview == "Nothing was said."


def test_bad_recordings_fail_alone_each_with_its_code(house: House) -> None:
    good = house.add("good.wav", speech_like(3))
    truncated = house.add("cut.wav", speech_like(6), cut=60_000)
    noise = house.add("noise.wav", speech_like(1), cut=30)
    crashing = house.add("crash.wav", speech_like(5))
    house.transcriber.breaks_at = 5 * 16_000
    missing = house.add("gone.wav", speech_like(2))
    with house.ledger.reading() as conn:
        house.store.delete(recordings.get(conn, missing).object_key)
    report = house.transcribe(house.claim(good, truncated, noise, crashing, missing))
    codes = {r.key: (r.outcome, r.code) for r in report.results}
    assert codes == {
        good: ("committed", None),
        truncated: ("failed", "audio_truncated"),
        noise: ("failed", "audio_unreadable"),
        crashing: ("failed", "internal_error"),
        missing: ("failed", "object_missing"),
    }
    assert house.status(crashing) == ("failed", "internal_error")
    assert house.status(good) == ("generating_notes", None)
    said = {r.key: r.message for r in report.results}
    assert "cut.wav" in said[truncated]
    assert "noise.wav" in said[noise]
    assert "KeyError" in said[crashing]
    assert "walk" not in said[crashing], "no diary text in messages"


def test_a_missing_model_fails_the_batch_and_no_recording(house: House) -> None:
    def no_model(name: str) -> Transcriber:
        raise ServiceMissing("model_missing", f"Whisper model {name} is not on this machine.")

    house.transcribers = no_model
    batch = house.claim(house.add("a.wav", speech_like(1)), house.add("b.wav", speech_like(2)))
    told: list[Result] = []
    with pytest.raises(ServiceMissing, match="not on this machine"):
        house.transcribe(batch, told.append)
    assert told == []
    release(house.ledger, batch, retry_s=0)
    assert {house.status(x.key) for x in batch.leases} == {("pending", None)}
    house.transcribers = lambda _: house.transcriber
    assert len(house.transcribe(house.claim(*(x.key for x in batch.leases))).good) == 2


def test_how_far_a_recording_has_been_heard_is_told_with_the_beat_of_its_lease(house: House) -> None:
    key = house.add("long.wav", speech_like(90))
    batch = house.claim(key)
    told: list[float | None] = []
    transcribe = TranscribeBatch(house.ledger, house.store, house.transcribers, lambda _: house.owner)
    with Heartbeat(house.ledger, "run-1", 60) as heart:

        def reached(key: str, at_s: float) -> None:
            heart.reached(key, at_s)
            heart.beat()
            with house.ledger.reading() as conn:
                told.append(conn.execute(sa.select(work.c.done_s).where(work.c.recording_key == key)).scalar())

        assert len(transcribe(batch, on_reached=reached).good) == 1
    assert told[-1] == pytest.approx(90, abs=1)


def test_what_was_finished_before_the_surrounding_broke_is_committed(house: House) -> None:
    keys = sorted(house.add(f"{n}.wav", speech_like(n)) for n in (1, 2, 3))
    batch = house.claim(*keys)
    with house.ledger.reading() as conn:
        broken = recordings.get(conn, keys[1]).object_key

    class Unplugged(FolderStore):
        def path(self, key: str) -> Path:
            if key == broken:
                raise ServiceMissing("store_unreadable", "The disk is gone.")
            return super().path(key)

    house.store = Unplugged(house.store.root)
    told: list[str] = []
    with pytest.raises(ServiceMissing, match="disk is gone"):
        house.transcribe(batch, lambda result: told.append(result.key))
    assert told == keys[:1]
    release(house.ledger, batch)
    assert [house.status(key) for key in keys] == [("generating_notes", None), ("pending", None), ("pending", None)]


def test_a_language_the_weights_do_not_know_fails_with_its_code(tmp_path: Path) -> None:
    house = House(tmp_path, ScriptedTranscriber([TEXT], languages=("de",)))
    (result,) = house.transcribe(house.claim(house.add("a.wav", speech_like(1)))).results
    assert (result.outcome, result.code) == ("failed", "language_not_supported")


def test_what_was_taken_over_meanwhile_is_skipped(house: House) -> None:
    kept, lost = house.add("kept.wav", speech_like(2)), house.add("lost.wav", speech_like(3))
    batch = house.claim(kept, lost)
    older = tuple(Lease(x.key, x.epoch - (x.key == lost), x.holder) for x in batch.leases)
    report = house.transcribe(Batch(batch.id, batch.stage, older, held=("elsewhere",), settled=("done",)))
    assert {(r.key, r.outcome, r.code) for r in report.results} == {
        (kept, "committed", None),
        (lost, "skipped", "fenced"),
        ("elsewhere", "skipped", "held_elsewhere"),
        ("done", "skipped", "settled_already"),
    }
    assert transcript_of(house.ledger, house.store, lost) is None


def test_a_crash_is_logged_with_the_lines_it_came_from_and_without_what_was_said(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    class Crashing(Counting):
        def transcribe(self, recordings: Iterable[ToHear]) -> Iterator[tuple[str, Heard | Exception]]:
            with pytest.raises(KeyError) as caught:
                print({}[TEXT])
            yield from ((recording.key, caught.value) for recording in recordings)

    house.transcriber = Crashing(house.transcriber.inner)
    house.transcribe(house.claim(house.add("a.wav", speech_like(1))))
    [told] = [r for r in caplog.records if r.getMessage().startswith("transcription_crashed")]
    assert f"error=KeyError where={Path(__file__).name}:" in told.getMessage()
    assert "walk" not in told.getMessage()


def test_a_recording_that_the_engine_never_gives_back_fails_and_does_not_vanish(house: House) -> None:
    class Forgetful(ScriptedTranscriber):
        def transcribe(self, recordings: Iterable[ToHear]) -> Iterator[tuple[str, Heard | Exception]]:
            return itertools.islice(super().transcribe(recordings), 1)

    house.transcribers = lambda _: Forgetful([TEXT])
    keys = [house.add("one.wav", speech_like(3)), house.add("two.wav", speech_like(4))]
    report = house.transcribe(house.claim(*keys))
    assert sorted((r.outcome, r.code) for r in report.results) == [("committed", None), ("failed", "internal_error")]


def test_an_empty_batch_commits_nothing(house: House) -> None:
    assert house.transcribe(Batch("b", "transcript", ())) == StageReport("transcript", ())
