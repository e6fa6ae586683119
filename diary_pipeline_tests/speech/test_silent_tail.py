"""A minute of speech and an hour of a room in which nobody speaks: transcript and note are those of the minute alone.

Whisper writes "Thank you." when it is handed silence; one that was really said stays.
"""

import functools
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from diary_pipeline.audio.decode import decode
from diary_pipeline.transcription.span import RATE
from diary_pipeline.transcription.transcriber import Block, Heard, Hints, hear
from diary_pipeline_tests.defs.house import House
from diary_pipeline_tests.recordings.encode import write_blocks
from diary_pipeline_tests.recordings.faulty import DEMO
from diary_pipeline_tests.recordings.rooms import BLOCK_S, room
from diary_pipeline_tests.recordings.script_languages import LANGUAGES
from diary_pipeline_tests.weights import real_transcriber

pytestmark = pytest.mark.speech
MINUTE = ("memo_2026-03-04_07-45.ogg", "20260307_114000.ogg")
HOUR_S = 3600.0
GOODBYE = LANGUAGES / "en_thank_you.ogg"
ENGLISH = Hints(language="en")


def digital_silence(seconds: float) -> Iterator[Block]:
    for _ in range(round(seconds / BLOCK_S)):
        yield np.zeros(BLOCK_S * RATE, np.float32)


def scaled(blocks: Iterable[Block], peak: float) -> Iterator[Block]:
    """Raise a room as a leveller would that takes its loudest sound for speech."""
    found = list(blocks)
    loudest = max(float(np.abs(block).max()) for block in found)
    return (block * np.float32(peak / loudest) for block in found)


ROOMS = {
    "quiet room": lambda seconds: room(seconds, -60),
    "loud room": lambda seconds: room(seconds, -45),
    "digital silence": digital_silence,
    "room with murmurs": lambda seconds: room(seconds, -60, murmur_every_s=300),
    "room raised to half of full scale": lambda seconds: scaled(room(seconds, -60), 0.5),
}


def spoken(*names: str) -> Iterator[Block]:
    for name in names:
        yield from decode(DEMO / name)


@functools.cache
def minute_alone(model: str) -> Heard:
    return hear(real_transcriber(model), spoken(*MINUTE), ENGLISH)


def then(first: Iterable[Block], *rest: Iterable[Block]) -> Iterator[Block]:
    for blocks in (first, *rest):
        yield from blocks


def words(found: Heard) -> list[str]:
    # A murmur shares the model's last window with speech, which may cost a comma or a mark, and a capital after it.
    return [word.text.strip(',.?!"“”').lower() for s in found.segments for word in s.words]


def times(found: Heard) -> list[float]:
    return [at for s in found.segments for word in s.words for at in (word.start_s, word.end_s)]


def the_minute_and_no_more(model: str, tail: Iterable[Block]) -> None:
    alone = minute_alone(model)
    found = hear(real_transcriber(model), then(spoken(*MINUTE), tail), ENGLISH)
    assert words(found) == words(alone)
    # The same murmur moves single words of that window, one of 165 by 0.46 s (an "and" at a pause).
    moved = np.abs(np.subtract(times(found), times(alone)))
    assert np.mean(moved > 0.2) <= 0.01
    assert moved.max() <= 0.6
    assert found.samples > alone.samples
    assert found.segments[-1].end_s == found.samples / RATE


@pytest.mark.slow
@pytest.mark.parametrize("kind", ROOMS)
def test_some_minutes_of_a_room_add_no_word(kind: str) -> None:
    the_minute_and_no_more("tiny.en", ROOMS[kind](600.0))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ROOMS)
@pytest.mark.parametrize("model", ["tiny.en", "base"])
def test_an_hour_of_a_room_adds_no_word(model: str, kind: str) -> None:
    the_minute_and_no_more(model, ROOMS[kind](HOUR_S))


@pytest.mark.slow
def test_the_note_is_that_of_the_minute_alone(tmp_path: Path) -> None:
    with House(tmp_path / "home") as house:
        house.wiring.ears = real_transcriber("tiny.en")
        folder = house.settings.drop_dir
        write_blocks(folder / "2026-03-02 minute.ogg", spoken(*MINUTE), RATE)
        write_blocks(folder / "2026-03-02 hour.ogg", then(spoken(*MINUTE), room(HOUR_S, -60)), RATE)
        assert all(run.success for run in house.once())
        assert house.sql("SELECT status, round(duration_s / 60) FROM recordings ORDER BY 2") == [
            ("completed", 1.0),
            ("completed", 61.0),
        ]
        minute, hour = (
            (
                house.sql(f"SELECT title, summary, mood, language FROM notes WHERE recording_key = '{key}'"),
                house.sql(f"SELECT kind, text, quote FROM note_items WHERE recording_key = '{key}' ORDER BY item_id"),
            )
            for key in sorted(house.keys(), key=lambda key: "hour" in key)
        )
        assert minute == hour
        assert len(minute[1]) > 5


def ends_with_thank_you(found: Heard) -> bool:
    last = [s for s in found.segments if s.text][-1]
    return last.text.lower().rstrip(" .!").endswith("thank you")


@pytest.mark.parametrize("model", ["tiny.en", "base"])
def test_a_thank_you_that_was_said_last_stays(model: str) -> None:
    blocks = then(spoken(MINUTE[0]), decode(GOODBYE), room(300.0, -60))
    assert ends_with_thank_you(hear(real_transcriber(model), blocks, ENGLISH))


@pytest.mark.parametrize("model", ["tiny.en", "base"])
def test_a_goodbye_that_was_said_after_a_long_silence_stays_and_has_its_time(model: str) -> None:
    found = hear(real_transcriber(model), then(spoken(MINUTE[0]), room(300.0, -60), decode(GOODBYE)), ENGLISH)
    assert ends_with_thank_you(found)
    goodbye = [word for s in found.segments for word in s.words if word.text.strip(" .!,").lower() == "you"][-1]
    # 0.2 s is the room that follows the last word.
    assert found.samples / RATE - 2.0 < goodbye.start_s < found.samples / RATE - 0.2
