"""The engine behind a server: many recordings at once, each put together in order, and alone in its failure."""

import itertools
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from diary_pipeline.audio.decode import decode
from diary_pipeline.catalogue.read import transcript_of
from diary_pipeline.core.errors import PermanentError, TransientError
from diary_pipeline.core.owner import Owner
from diary_pipeline.transcription.heard import HeardWindow
from diary_pipeline.transcription.made_with import FRONT_END, versions
from diary_pipeline.transcription.server.connection import TranscriptionServer
from diary_pipeline.transcription.server.openai_compatible import OpenAICompatibleTranscriber, judged, wav_of
from diary_pipeline.transcription.span import RATE
from diary_pipeline.transcription.speech.windows import Window
from diary_pipeline.transcription.transcriber import Block, Heard, Hints, ToHear, hear
from diary_pipeline_tests.recordings.faulty import DEMO
from diary_pipeline_tests.transcription_server import Posted, Reply, refusal, transcription_server
from diary_pipeline_tests.unit.test_transcribe_batch import House

SPOKEN = DEMO / "2026-03-02 first day back.wav"
Answer = Callable[[Posted], Reply]


@pytest.fixture(scope="module")
def spoken() -> Block:
    """One window of speech."""
    return np.concatenate(list(decode(SPOKEN)))


@pytest.fixture(scope="module")
def long(spoken: Block) -> Block:
    """Several windows of speech."""
    return np.tile(spoken, int(np.ceil(100 * RATE / len(spoken))))


def engine(url: str, **more: object) -> OpenAICompatibleTranscriber:
    return OpenAICompatibleTranscriber(TranscriptionServer(url, "m", retries=0), **more)


def numbered() -> Answer:
    """Say of each window how many samples it holds, so that order can be told from the text."""
    return lambda posted: Reply({"text": f"Window {len(posted.samples)}.", "language": "english"})


def heard_texts(heard: Heard | Exception) -> list[str]:
    assert isinstance(heard, Heard)
    return [s.text for s in heard.segments if s.text]


def one(key: str, samples: Block, hints: Hints | None = None) -> ToHear:
    return ToHear(key, lambda: [samples], hints or Hints())


def test_windows_that_come_back_out_of_order_are_put_together_in_order(long: Block) -> None:
    arrived = itertools.count()
    first_may_go = threading.Event()

    def answer(posted: Posted) -> Reply:
        number = next(arrived)
        if number == 0:
            first_may_go.wait(30)
        if number == 2:
            first_may_go.set()
        return numbered()(posted)

    with transcription_server(answer) as double:
        heard = hear(engine(double.url, concurrency=3), [long])
    with transcription_server(numbered()) as double:
        alone = hear(engine(double.url, concurrency=1), [long])
    assert len(double.posted) > 3
    assert heard == alone


def test_requests_at_once_are_bounded_and_recordings_are_not_read_ahead(spoken: Block) -> None:
    lock, two_at_once, under_way, most = threading.Lock(), threading.Event(), [0], [0]
    opened: list[int] = []
    returned: list[int] = []
    ahead: list[int] = []

    def answer(posted: Posted) -> Reply:
        with lock:
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])
            if under_way[0] == 2:
                two_at_once.set()
        two_at_once.wait(30)
        with lock:
            under_way[0] -= 1
        return numbered()(posted)

    def recordings() -> Iterator[ToHear]:
        for number in range(12):
            opened.append(number)
            ahead.append(len(opened) - len(returned))
            yield one(str(number), spoken)

    with transcription_server(answer) as double:
        for key, heard in engine(double.url, concurrency=2).transcribe(recordings()):
            assert heard_texts(heard)
            returned.append(int(key))
    assert sorted(returned) == list(range(12))
    assert most[0] == 2
    assert max(ahead) <= 2 * 2 + 2


def test_a_refused_window_fails_its_recording_and_no_other(spoken: Block, long: Block) -> None:
    quiet = spoken[: len(spoken) // 2]
    refused = len(wav_of(speech_of(quiet)))

    def answer(posted: Posted) -> Reply:
        return refusal(413) if len(posted.wav) == refused else numbered()(posted)

    with transcription_server(answer) as double:
        found = dict(engine(double.url).transcribe([one("a", spoken), one("bad", quiet), one("c", long)]))
    assert isinstance(found["bad"], PermanentError)
    assert found["bad"].code == "transcription_refused"
    assert "recording bad" in found["bad"].message
    assert heard_texts(found["a"])
    assert heard_texts(found["c"])


def speech_of(samples: Block) -> Block:
    sent: list[Block] = []

    def keep(posted: Posted) -> Reply:
        sent.append(posted.samples)
        return Reply({"text": ""})

    with transcription_server(keep) as double:
        hear(engine(double.url), [samples])
    (found,) = sent
    return found


def test_audio_that_cannot_be_read_fails_alone(spoken: Block) -> None:
    def broken() -> Iterator[Block]:
        yield spoken
        raise OSError("gone")

    with transcription_server(numbered()) as double:
        found = dict(engine(double.url).transcribe([ToHear("bad", broken, Hints()), one("good", spoken)]))
    assert isinstance(found["bad"], OSError)
    assert heard_texts(found["good"])


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (lambda _: refusal(401), "transcription_server_refused"),
        (lambda _: refusal(503), "transcription_server_busy"),
        (lambda _: Reply(b"{"), "transcription_server_stuck"),
    ],
)
def test_a_server_that_does_not_work_ends_the_batch(answer: Answer, code: str, spoken: Block) -> None:
    with transcription_server(answer) as double, pytest.raises(TransientError) as ended:
        list(engine(double.url).transcribe([one("a", spoken), one("b", spoken)]))
    assert ended.value.code == code


class Kept:
    """Checkpoints in memory."""

    def __init__(self, finished: Mapping[int, Sequence[HeardWindow]] | None = None) -> None:
        self.kept: dict[int, Sequence[HeardWindow]] = dict(finished or {})
        self.new: list[int] = []

    def finished(self) -> Mapping[int, Sequence[HeardWindow]]:
        return dict(self.kept)

    def finish(self, window: int, heard: Sequence[HeardWindow]) -> None:
        self.kept[window] = heard
        self.new.append(window)


def test_finished_windows_are_not_asked_about_again(long: Block) -> None:
    with transcription_server(numbered()) as double:
        first = Kept()
        ((_, whole),) = engine(double.url).transcribe([ToHear("a", lambda: [long], Hints(), first)])
        count = len(double.posted)
        assert sorted(first.new) == list(range(count))
        again = Kept({n: heard for n, heard in first.kept.items() if n != 1})
        ((_, resumed),) = engine(double.url).transcribe([ToHear("a", lambda: [long], Hints(), again)])
    assert again.new == [1]
    assert len(double.posted) == count + 1
    assert resumed == whole


def test_what_was_kept_of_other_windows_is_asked_about_again(long: Block) -> None:
    with transcription_server(numbered()) as double:
        first = Kept()
        ((_, whole),) = engine(double.url).transcribe([ToHear("a", lambda: [long], Hints(), first)])
        count = len(double.posted)
        again = Kept({**first.kept, 1: first.kept[0]})
        ((_, resumed),) = engine(double.url).transcribe([ToHear("a", lambda: [long], Hints(), again)])
    assert again.new == [1]
    assert len(double.posted) == count + 1
    assert resumed == whole


def test_a_window_may_be_judged_and_refused_before_it_counts(spoken: Block) -> None:
    asked: list[tuple[int, str | None]] = []

    def refuse(window: Window, heard: HeardWindow, hints: Hints, language: str | None) -> tuple[HeardWindow, ...]:
        asked.append((window.length, language))
        return (HeardWindow(heard.spans, refused="avg_logprob"),)

    with transcription_server(numbered()) as double:
        heard = hear(engine(double.url, repair=refuse), [spoken], Hints(language="en"))
    assert {s.kind for s in heard.segments} <= {"inaudible", "silence"}
    assert {s.reason for s in heard.segments if s.kind == "inaudible"} == {"avg_logprob"}
    assert asked == [(len(double.posted[0].samples), "en")]


@pytest.mark.parametrize(
    ("text", "scores", "reason", "risks"),
    [
        ("I went for a walk.", {}, None, ()),
        ("今日は晴れ。", {}, None, ()),
        ("Monday, Monday, Monday, Monday, Monday.", {}, "loop", ()),
        ("I went for a walk.", {"avg_logprob": -1.5}, "hopeless_logprob", ()),
        ("I went for a walk by the river, and it was quiet there. " * 2, {"avg_logprob": -0.5}, None, ("avg_logprob",)),
    ],
)
def test_signals_are_raised_about_what_a_server_says_and_not_about_what_it_leaves_out(
    spoken: Block, text: str, scores: dict[str, float], reason: str | None, risks: tuple[str, ...]
) -> None:
    segment = {"start": 0.0, "end": 3.0, "text": text, **scores}
    with transcription_server(lambda _: Reply({"text": text, "segments": [segment]})) as double:
        heard = hear(engine(double.url, repair=judged), [spoken[: 6 * RATE]])
    told = [s for s in heard.segments if s.kind != "silence" and s.reason != "nothing_heard"]
    assert {(s.reason, s.risks) for s in told} == {(reason, risks)}


@pytest.mark.parametrize(
    ("hints", "reported", "sent", "language"),
    [
        (Hints(), {"language": "german"}, [None], ("de", None)),
        (Hints(), {}, [None], (None, None)),
        (Hints(), {"detected_language": "german", "detected_language_probability": 0.8}, [None], ("de", 0.8)),
        (Hints("de"), {"language": "english"}, ["de"], ("de", 1.0)),
        (Hints(None, ("de",)), {"language": "english"}, ["de"], ("de", 1.0)),
        (Hints(None, ("de", "en")), {"language": "english"}, [None], ("en", None)),
        (Hints(None, ("de", "en")), {"language": "japanese"}, [None, "de"], ("de", None)),
        (Hints("fr", ("de", "en")), {"language": "japanese"}, ["fr"], ("fr", 1.0)),
    ],
)
def test_the_language_is_forced_detected_or_left_open(
    spoken: Block,
    hints: Hints,
    reported: dict[str, object],
    sent: list[str | None],
    language: tuple[str | None, float | None],
) -> None:
    with transcription_server(lambda _: Reply({"text": "Ja.", **reported})) as double:
        heard = hear(engine(double.url), [spoken], hints)
    assert [p.fields.get("language", [None])[0] for p in double.posted] == sent
    assert (heard.language, heard.language_probability) == language
    assert {s.language for s in heard.segments if s.text} == {language[0]}


def test_the_language_of_a_recording_is_that_of_most_of_its_speech(long: Block) -> None:
    count = itertools.count()

    def answer(_: Posted) -> Reply:
        told = ("english", 0.9) if next(count) == 0 else ("french", 0.95)
        return Reply({"text": "Ja.", "detected_language": told[0], "detected_language_probability": told[1]})

    with transcription_server(answer) as double:
        heard = hear(engine(double.url, concurrency=1), [long])
    assert {s.language for s in heard.segments if s.text} == {"en", "fr"}
    assert (heard.language, heard.language_probability) == ("fr", pytest.approx(0.95))


def test_the_vocabulary_is_told(spoken: Block) -> None:
    with transcription_server(numbered()) as double:
        hear(engine(double.url), [spoken], Hints(vocabulary=("Zillertal", "Anna")))
    assert double.posted[0].fields["prompt"] == ["Zillertal, Anna"]


def test_what_a_server_does_not_report_is_unknown(spoken: Block) -> None:
    with transcription_server(lambda _: Reply({"text": "One two. Three four."})) as double:
        transcriber = engine(double.url)
        heard = hear(transcriber, [spoken])
    assert transcriber.engine.model_sha256 == ""
    assert transcriber.engine.parameters == {**versions(FRONT_END), "url": double.url, "model": "m"}
    said = [s for s in heard.segments if s.text]
    assert " ".join(s.text for s in said) == "One two. Three four."
    for segment in said:
        assert (segment.avg_logprob, segment.no_speech_prob, segment.model_sha256) == (None, None, None)
        assert {word.probability for word in segment.words} == {None}


def test_another_address_or_model_is_another_engine() -> None:
    servers = [("http://a/v1", "m"), ("http://b/v1", "m"), ("http://a/v1", "n")]
    keys = {OpenAICompatibleTranscriber(TranscriptionServer(*server)).engine.key for server in servers}
    assert len(keys) == 3
    again = OpenAICompatibleTranscriber(TranscriptionServer("http://a/v1/", "m", "a key", wait_s=1))
    assert again.engine.key in keys


def test_what_was_decoded_from_16_bits_is_sent_unchanged() -> None:
    whole = np.array([-32768, -1, 0, 1, 32767], np.int16)
    sent = Posted("", {}, wav=wav_of(whole.astype(np.float32) / 32768)).samples
    assert (sent * 32768).astype(int).tolist() == whole.tolist()
    assert Posted("", {}, wav=wav_of(np.array([1.5, -1.5], np.float32))).samples.tolist() == [32767 / 32768, -1.0]


def test_stopping_early_asks_no_more(long: Block) -> None:
    with transcription_server(numbered()) as double:
        stream = engine(double.url, concurrency=1).transcribe(one(str(n), long) for n in range(50))
        next(stream)
        stream.close()
        assert len(double.posted) < 50


HUNG = """
import sys
import numpy as np
from diary_pipeline.audio.decode import decode
from diary_pipeline.core.errors import Stopped
from diary_pipeline.transcription.server.openai_compatible import OpenAICompatibleTranscriber
from diary_pipeline.transcription.made_with import FRONT_END, versions
from diary_pipeline.transcription.server.connection import TranscriptionServer
from diary_pipeline.transcription.transcriber import Hints, ToHear
def recordings():
    yield ToHear("a", lambda: decode(sys.argv[2]), Hints())
    raise Stopped("stopped", "Somebody pressed Ctrl-C.")
list(OpenAICompatibleTranscriber(TranscriptionServer(sys.argv[1], "m")).transcribe(recordings()))
"""


def test_a_process_does_not_wait_for_a_server_that_hangs(spoken: Block) -> None:
    over = threading.Event()

    def hang(posted: Posted) -> Reply:
        over.wait(60)
        return Reply({"text": ""})

    with transcription_server(hang) as double:
        command = [sys.executable, "-c", HUNG, double.url, str(SPOKEN)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=50)
        over.set()
    assert "Somebody pressed Ctrl-C." in ended.stderr


def test_a_batch_commits_what_the_server_heard_and_the_unknown_as_unknown(tmp_path: Path, spoken: Block) -> None:
    def answer(posted: Posted) -> Reply:
        return refusal(422) if len(posted.samples) < 6 * RATE else Reply({"text": "I went for a walk."})

    with transcription_server(answer) as double:
        house = House(tmp_path, engine(double.url, repair=judged))
        house.owner = Owner("me")
        good, bad = house.add("good.wav", spoken), house.add("bad.wav", spoken[: 5 * RATE])
        report = house.transcribe(house.claim(good, bad))
    assert {r.key: (r.outcome, r.code) for r in report.results} == {
        good: ("committed", None),
        bad: ("failed", "transcription_refused"),
    }
    stored = transcript_of(house.ledger, house.store, good)
    assert stored is not None
    assert (stored.engine.model_sha256, stored.language, stored.language_probability) == ("", None, None)
    assert stored.engine.parameters == {**versions(FRONT_END), "url": double.url, "model": "m"}
    (shown,) = (r for r in report.results if r.key == good)
    assert (shown.metadata["model_sha256"], shown.metadata["language_probability"]) == ("unknown", "unknown")
    assert {c.name for c in shown.checks if not c.passed} == {"language_is_certain"}
