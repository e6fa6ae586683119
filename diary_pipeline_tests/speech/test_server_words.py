"""Real Whisper weights behind a server on loopback say what they say at home."""

import numpy as np
import pytest

from diary_pipeline.audio.decode import decode
from diary_pipeline.transcription.server.connection import TranscriptionServer
from diary_pipeline.transcription.server.openai_compatible import OpenAICompatibleTranscriber
from diary_pipeline.transcription.transcriber import hear
from diary_pipeline_tests.recordings.faulty import DEMO
from diary_pipeline_tests.transcription_server import heard_by, transcription_server
from diary_pipeline_tests.weights import real_transcriber

pytestmark = pytest.mark.speech


def test_the_words_are_those_of_the_local_engine_and_lie_where_it_puts_them() -> None:
    spoken = np.concatenate(list(decode(DEMO / "2026-03-02 first day back.wav")))
    local = real_transcriber("tiny.en")
    with transcription_server(heard_by(local)) as server:
        remote = OpenAICompatibleTranscriber(TranscriptionServer(server.url, "tiny.en"))
        there = [word for segment in hear(remote, [spoken]).segments for word in segment.words]
    here = [word for segment in hear(local, [spoken]).segments for word in segment.words]
    assert [word.text for word in there] == [word.text for word in here]
    # The server finds speech in what was found already, so its spans are a little shorter: 0.08 s was the most.
    assert all(abs(a.start_s - b.start_s) < 0.2 for a, b in zip(there, here, strict=True))
