"""The job `ingest`: what a client asks for by GraphQL reaches the ledger."""

from pathlib import Path

from diary_pipeline.ledger import recordings
from diary_pipeline_tests.builders import speech_like, write_audio
from diary_pipeline_tests.defs.house import House


def test_every_wish_of_a_client_stands_with_the_recording(tmp_path: Path) -> None:
    memo = write_audio(tmp_path / "memo.wav", speech_like(1))
    asked = {"uris": [memo.as_uri()], "user_id": "anna", "language": "de", "vocabulary": ["Zillertal, Mika", "Brenner"]}
    with House(tmp_path / "home") as house:
        model = {"whisper_model": house.settings.allowed_models[-1]}
        config = {"ops": {"ingest": {"config": {**asked, **model}}}}
        assert house.defs.resolve_job_def("ingest").execute_in_process(config, instance=house.instance).success
        with house.ledger.reading() as conn:
            (row,) = recordings.page(conn, limit=2)
    taken = row.recording
    assert (taken.owner, taken.language, taken.whisper_model) == ("anna", "de", model["whisper_model"])
    assert taken.vocabulary == ("Zillertal", "Mika", "Brenner")
