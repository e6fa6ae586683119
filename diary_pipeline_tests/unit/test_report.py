"""What people are shown of a transcript."""

import pytest

from diary_pipeline.core.transcript import Segment
from diary_pipeline.transcription.report import LINES, figures, preview
from diary_pipeline_tests.builders import make_recording, make_transcript

WALK = Segment(0, 0.0, 2.0, "speech", "I went for a walk.", "en")


def shown(*segments: Segment) -> list[str]:
    """Return the lines of the preview of these segments."""
    return preview(make_transcript([], segments=segments, language="en")).splitlines()


@pytest.mark.parametrize(
    ("segment", "line"),
    [
        (Segment(1, 2.0, 9.0, "silence"), None),
        (Segment(1, 62.0, 64.0, "speech", "It rained.", "en"), "- `1:02` It rained."),
        (Segment(1, 3661.0, 3662.0, "speech", "Late.", "en"), "- `1:01:01` Late."),
        (Segment(1, 2.0, 5.5, "inaudible", reason="nothing_heard"), "- `0:02` [inaudible] (nothing_heard, 3.5 s)"),
        (Segment(1, 2.0, 5.5, "inaudible"), "- `0:02` [inaudible] (unknown, 3.5 s)"),
        (
            Segment(1, 2.0, 3.0, "speech", "Hm.", "en", risks=("too_fast", "loop")),
            "- `0:02` Hm. (doubtful: too_fast, loop)",
        ),
        (Segment(1, 2.0, 3.0, "speech", "Ja.", "de", language_probability=0.831), "- `0:02` Ja. (de 0.83)"),
        (Segment(1, 2.0, 3.0, "speech", "Ja.", "de"), "- `0:02` Ja. (de)"),
        (Segment(1, 2.0, 3.0, "speech", "Yes.", None), "- `0:02` Yes."),
    ],
)
def test_a_line_tells_when_what_and_what_is_doubtful(segment: Segment, line: str | None) -> None:
    assert shown(WALK, segment) == ["- `0:00` I went for a walk.", *([line] if line else [])]


def test_the_usual_language_is_the_one_of_most_lines() -> None:
    german = [Segment(n, n, n + 1.0, "speech", "Gut.", "de") for n in (1, 2)]
    assert shown(WALK, *german) == ["- `0:00` I went for a walk. (en)", "- `0:01` Gut.", "- `0:02` Gut."]


def test_what_was_not_understood_is_not_called_silence() -> None:
    assert shown(Segment(0, 0.0, 4.0, "silence")) == ["Nothing was said."]
    assert shown(Segment(0, 0.0, 4.0, "inaudible", reason="phantom")) == ["- `0:00` [inaudible] (phantom, 4.0 s)"]


def test_a_long_transcript_is_cut_and_says_so() -> None:
    lines = preview(make_transcript(["Tea."] * (LINES + 3))).splitlines()
    assert (len(lines), lines[-1]) == (LINES + 2, "3 more lines")


def test_the_figures_count_what_was_not_understood() -> None:
    lost = Segment(1, 2.0, 5.5, "inaudible", reason="phantom")
    told = figures(make_recording(), make_transcript([], segments=(WALK, lost), duration_s=5.5))
    assert (told["speech_s"], told["inaudible_s"]) == (2.0, 3.5)
