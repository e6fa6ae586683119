"""A transcript in five formats: what real parsers and a real player read back is what was said."""

import dataclasses
import datetime as dt
import html
import io
import json
from collections.abc import Sequence

import av
import pytest
import srt
import webvtt
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from diary_pipeline.core.recording import Recording
from diary_pipeline.core.transcript import Engine, Segment, Transcript, Word
from diary_pipeline.transcription.renderers.cues import cues_of
from diary_pipeline.transcription.renderers.formats import RENDERERS, TranscriptFormat
from diary_pipeline.transcription.renderers.lines import clean
from diary_pipeline_tests.builders import make_recording, make_transcript

WALK = make_recording(title="Walk: by the 'river'", tags=("phone", "two words"), file_name="Spazier -->\ngang.m4a")
DAY_S = 86_400.0


def said(*texts: str, start_s: float = 0.0) -> Transcript:
    """Return a transcript of sentences of four seconds, a second of silence after each."""
    some: list[Segment] = []
    at = start_s
    for text in texts:
        some.append(Segment(len(some), at, at + 4, "speech", text, "en"))
        some.append(Segment(len(some), at + 4, at + 5, "silence"))
        at += 5
    return made(some)


def made(some: Sequence[Segment]) -> Transcript:
    """Return the transcript of these segments."""
    last = some[-1].end_s if some else 1.0
    return dataclasses.replace(make_transcript(["x"]), segments=tuple(some), duration_s=last)


def rendered(form: TranscriptFormat, transcript: Transcript, recording: Recording = WALK) -> str:
    """Render a transcript of the walk."""
    return RENDERERS[form](recording, transcript)


MIXED = made(
    [
        Segment(0, 0.0, 2.0, "speech", "I met Priya.", "en"),
        Segment(1, 2.0, 2.5, "silence"),
        Segment(2, 2.5, 5.0, "speech", "We *walked* for <b>miles</b> & miles.", "en"),
        Segment(3, 5.0, 9.0, "inaudible", reason="nothing_heard"),
        Segment(4, 9.0, 11.0, "inaudible", reason="compression_ratio"),
        Segment(5, 11.0, 13.0, "speech", "Then it rained.", "en"),
        Segment(6, 13.0, 16.0, "silence"),
        Segment(7, 16.0, 18.0, "speech", "1. Buy bread.", "en"),
        Segment(8, 18.0, 75.0, "silence"),
    ]
)
QUIET = made([Segment(0, 0.0, 5.0, "silence")])


def test_text_is_paragraphs_with_a_word_for_what_was_not_understood() -> None:
    assert rendered("txt", MIXED) == (
        "I met Priya. We *walked* for <b>miles</b> & miles. [inaudible] Then it rained.\n\n1. Buy bread.\n"
    )


def test_chinese_sentences_are_joined_without_spaces() -> None:
    some = [Segment(0, 0, 2, "speech", "今天我去散步。"), Segment(1, 2, 4, "speech", "天气很好。")]
    assert rendered("txt", made(some)) == "今天我去散步。天气很好。\n"
    assert "今天我去散步。\n" in rendered("srt", made(some))


def test_srt_counts_its_cues_and_says_hours_with_a_comma() -> None:
    assert rendered("srt", MIXED) == (
        "1\n00:00:00,000 --> 00:00:02,000\nI met Priya.\n\n"
        "2\n00:00:02,500 --> 00:00:05,000\nWe *walked* for <\u200bb>miles<\u200b/b> & miles.\n\n"
        "3\n00:00:05,000 --> 00:00:11,000\n[inaudible]\n\n"
        "4\n00:00:11,000 --> 00:00:13,000\nThen it rained.\n\n"
        "5\n00:00:16,000 --> 00:00:18,000\n1. Buy bread.\n"
    )


def test_webvtt_escapes_what_was_said_and_names_the_file() -> None:
    assert rendered("vtt", MIXED).startswith(
        "WEBVTT\n\nNOTE Spazier --&gt; gang.m4a\n\n"
        "00:00:00.000 --> 00:00:02.000\nI met Priya.\n\n"
        "00:00:02.500 --> 00:00:05.000\nWe *walked* for &lt;b&gt;miles&lt;/b&gt; &amp; miles.\n\n"
    )


def test_markdown_has_front_matter_and_lines_that_begin_with_their_time() -> None:
    text = rendered("md", MIXED)
    _, front, body = text.split("---\n", 2)
    assert yaml.safe_load(front) == {
        "title": "Walk: by the 'river'",
        "date": dt.date(2026, 3, 7),
        "recording_key": WALK.key,
        "file_name": "Spazier --> gang.m4a",
        "duration_s": 75.0,
        "language": "en",
        "model": "script",
        "tags": ["phone", "two-words"],
    }
    assert body == (
        "\n# Walk: by the 'river'\n\n"
        "- 0:00 I met Priya.\n"
        "- 0:02 We \\*walked\\* for \\<b\\>miles\\</b\\> \\& miles.\n"
        "- 0:05 [inaudible 0:05-0:11]\n"
        "- 0:11 Then it rained.\n"
        "- 0:16 1\\. Buy bread.\n"
    )


@pytest.mark.parametrize(
    ("form", "text"),
    [("txt", ""), ("srt", ""), ("vtt", "WEBVTT\n\nNOTE Spazier --&gt; gang.m4a\n")],
)
def test_a_silent_recording_has_no_cue_and_no_line(form: TranscriptFormat, text: str) -> None:
    assert rendered(form, QUIET) == text


def test_a_silent_recording_is_said_to_be_silent_where_there_is_a_place_for_it() -> None:
    silent = dataclasses.replace(QUIET, language=None)
    assert rendered("md", silent).endswith("\n*Nothing was said.*\n")
    assert "\nlanguage: null\n" in rendered("md", silent)
    assert json.loads(rendered("json", silent))["language"] is None
    assert json.loads(rendered("json", dataclasses.replace(silent, segments=())))["segments"] == []


def test_the_last_hour_of_a_day_has_two_digits_and_every_format_can_say_it() -> None:
    late = said("It is nearly midnight.", start_s=DAY_S - 5)
    assert "23:59:55,000 --> 23:59:59,000" in rendered("srt", late)
    assert "23:59:55.000 --> 23:59:59.000" in rendered("vtt", late)
    assert "- 23:59:55 It is nearly midnight." in rendered("md", late)


def test_json_names_its_fields_in_a_fixed_order() -> None:
    told = json.loads(rendered("json", make_transcript(["I walked."], engine=Engine("e", "tiny", "a" * 64, {"b": 5}))))
    assert (
        list(told)
        == (
            "schema recording_key user_id file_name title tags content_sha256 recorded_at time_zone duration_s "
            "language language_probability engine version segments"
        ).split()
    )
    assert list(told["engine"]) == "name model model_sha256 parameters code_version".split()
    assert (
        list(told["segments"][0])
        == (
            "id start_s end_s kind text language avg_logprob no_speech_prob compression_ratio words "
            "language_probability raw_text reason risks rung model_sha256"
        ).split()
    )
    assert list(told["segments"][0]["words"][0]) == "text start_s end_s probability".split()
    assert told["recorded_at"] == "2026-03-07T06:45:00+00:00"


def test_a_number_that_json_cannot_say_is_null() -> None:
    some = [Segment(0, 0, 2, "speech", "Well.", avg_logprob=float("-inf"))]
    assert json.loads(rendered("json", made(some)))["segments"][0]["avg_logprob"] is None


TRICKY = (
    "I said <b>bold</b>, <i>and</i> so on.",
    "A --> B, 00:00:01,000 --> 00:00:02,000",
    "{\\an8}Up there, {\\b1}bold{\\b0}.",
    "Less < more & more > less; &lt; is no sign.",
    "I <3 you",
    "NOTE that STYLE",
    "WEBVTT",
    "42",
    "שלום, מה שלומך? مرحبا",
    "今天我去散步了。カード",
    "🧑‍👩‍👧 👍🏽",
)
TEXTS = st.lists(st.one_of(st.sampled_from(TRICKY), st.text(min_size=1, max_size=60)), max_size=6)


@settings(deadline=None)
@given(TEXTS)
def test_json_gives_the_whole_transcript_back(texts: list[str]) -> None:
    words = (Word("Well", 0.1, 0.5, None),)
    first = Segment(
        0, 0, 1, "speech", "Well.", "de", -0.2, 0.1, 1.1, words, 0.9, "Wel.", None, ("fast",), "t0.4", "a" * 64
    )
    transcript = dataclasses.replace(made([first, *said(*texts, start_s=1.0).segments]), recording_key=WALK.key)
    told = json.loads(rendered("json", transcript))
    assert transcript == Transcript(
        segments=tuple(
            Segment(**{**s, "words": tuple(Word(**w) for w in s["words"]), "risks": tuple(s["risks"])})
            for s in told["segments"]
        ),
        engine=Engine(**told["engine"]),
        **{name: told[name] for name in ("recording_key", "duration_s", "language", "language_probability", "version")},
    )


def expected(transcript: Transcript) -> list[tuple[int, int, str]]:
    """Return what a player should show: times in milliseconds and text."""
    return [(cue.start_ms, cue.end_ms, "\n".join(cue.lines)) for cue in cues_of(transcript)]


@settings(deadline=None)
@given(TEXTS)
def test_srt_is_parsed_back_as_it_was_said(texts: list[str]) -> None:
    transcript = said(*texts)
    text = rendered("srt", transcript)
    read = list(srt.parse(text, ignore_errors=False))
    assert [cue.index for cue in read] == list(range(1, len(read) + 1))
    ms = dt.timedelta(milliseconds=1)
    assert [(c.start // ms, c.end // ms, c.content.replace("\u200b", "")) for c in read] == [
        (start, end, shown.replace("\u200b", "")) for start, end, shown in expected(transcript)
    ]
    assert text.encode()[:3] != b"\xef\xbb\xbf"


@settings(deadline=None)
@given(TEXTS)
def test_webvtt_is_parsed_back_as_it_was_said(texts: list[str]) -> None:
    transcript = said(*texts)
    read = webvtt.from_buffer(io.StringIO(rendered("vtt", transcript)))
    assert [(cue.start, cue.end, html.unescape(cue.raw_text)) for cue in read] == [
        (stamp(start), stamp(end), shown) for start, end, shown in expected(transcript)
    ]


def stamp(at_ms: int) -> str:
    """Write milliseconds as WebVTT does."""
    at = dt.datetime(2000, 1, 1) + dt.timedelta(milliseconds=at_ms)
    return f"{at:%H:%M:%S}.{at_ms % 1000:03}"


# How FFmpeg writes to its renderer what is no markup.
ASS = {"\\N": "\n", "\\{{}": "{", "\\\u2060": "\\"}


@pytest.mark.parametrize("form", ["srt", "vtt"])
def test_a_player_shows_every_letter_that_was_said_and_takes_none_for_markup(form: TranscriptFormat) -> None:
    transcript = said(*TRICKY)
    shown = []
    with av.open(io.BytesIO(rendered(form, transcript).encode()), format={"srt": "srt", "vtt": "webvtt"}[form]) as file:
        for packet in file.demux():
            for subtitle in packet.decode() if packet.size else ():
                begin, lasts = packet.pts, packet.duration
                text = subtitle.ass.decode().split(",", 8)[8].replace("\u200b", "")
                for coded, char in ASS.items():
                    text = text.replace(coded, char)
                shown.append((begin, begin + lasts, text))
    assert shown == expected(transcript)


@settings(deadline=None)
@given(st.text(max_size=60), st.text(max_size=40), st.lists(st.text(min_size=1, max_size=12), max_size=3))
def test_front_matter_is_yaml_whatever_the_file_is_called(title: str, file_name: str, tags: list[str]) -> None:
    recording = dataclasses.replace(WALK, title=title or None, file_name=file_name or "x", tags=tuple(tags))
    front = yaml.safe_load(rendered("md", MIXED, recording).split("\n---\n")[0].removeprefix("---\n"))
    assert list(front) == "title date recording_key file_name duration_s language model tags".split()
    assert len(front["tags"]) == len(tags)
    if title.isascii() and title.isprintable() and clean(title):
        assert front["title"] == clean(title)
