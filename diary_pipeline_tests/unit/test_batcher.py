"""Which windows share a model call."""

import pytest

from diary_pipeline.transcription.whisper.batcher import PASSED_OVER, Waiting, next_batch


def window(
    name: str, samples: int, *, group: str = "en", alone: bool = False, passed: int = 0, index: int = 0
) -> Waiting:
    return Waiting(name, index, group, samples, alone, passed)


def names(batch: list[Waiting]) -> str:
    return " ".join(f"{w.recording}{w.index}" for w in batch)


@pytest.mark.parametrize(
    ("waiting", "size", "expected", "why"),
    [
        ([], 4, "", "nothing waits"),
        ([window("a", 5)], 4, "a0", "a lone window does not wait for company"),
        ([window("a", 9), window("b", 2), window("c", 8), window("d", 1)], 2, "c0 a0", "like lengths"),
        ([window("a", 5), window("b", 5, group="de"), window("c", 5, group="de")], 4, "b0 c0", "the larger group"),
        ([window("a", 5, passed=PASSED_OVER), window("b", 5, group="de"), window("c", 5, group="de")], 4, "a0",
         "a group that waited long enough goes first"),
        ([window("a", 5, alone=True, index=i) for i in (1, 0, 2)], 4, "a0", "in order, one in a call"),
        ([window("a", 5, alone=True, index=i) for i in (3, 4)] + [window("b", 5), window("c", 6)], 4, "a3 b0 c0",
         "others fill the call"),
    ],
)  # fmt: skip
def test_windows_of_one_group_and_of_like_length_go_together(
    waiting: list[Waiting], size: int, expected: str, why: str
) -> None:
    assert names(next_batch(waiting, size)) == expected, why


def test_no_window_waits_for_ever() -> None:
    rare = window("rare", 30, group="it")
    waiting = [rare]
    for turn in range(PASSED_OVER + 2):
        waiting += [window(f"en{turn}-{i}", 5) for i in range(8)]
        batch = next_batch(waiting, 4)
        waiting = [w for w in waiting if w not in batch]
        if rare in batch:
            return
    raise AssertionError(f"still waiting, passed over {rare.passed_over} times")
