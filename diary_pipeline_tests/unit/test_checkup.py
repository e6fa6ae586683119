"""What `diary doctor` says of the speech engine is what a run would do."""

import shutil
from pathlib import Path

import ctranslate2
import pytest

from diary_pipeline.cli.checkup import Finding, examine
from diary_pipeline.core.errors import ServiceMissing
from diary_pipeline.settings import load_settings
from diary_pipeline.transcription.devices.device import choose
from diary_pipeline.wiring.deployment import Wiring
from diary_pipeline_tests.gcs_server import Fault, GcsServer
from diary_pipeline_tests.weights import weights

HAS_GPU = bool(ctranslate2.get_cuda_device_count())
NO_DAGSTER = {"DIARY_UI_PORT": "1"}


def found(**variables: str) -> dict[str, Finding]:
    return {f.subject: f for f in examine(load_settings({**NO_DAGSTER, **variables}))}


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"DIARY_HOME": str(tmp_path / "home"), "DIARY_MODEL_DIR": str(tmp_path / "models")}


def test_the_device_is_the_one_that_a_run_would_choose(home: dict[str, str]) -> None:
    said = found(**home, DIARY_DEVICE="cpu", DIARY_COMPUTE_TYPE="float32", DIARY_WINDOW_BATCH_SIZE="3")["device"]
    assert said.state == "ok"
    assert said.detail.startswith("cpu in float32, log-mel by numpy: asked for; 3 windows a call, as asked")


def test_without_a_model_the_batch_is_small_and_the_model_is_what_is_missing(home: dict[str, str]) -> None:
    said = found(**home, DIARY_DEVICE="cpu")
    assert said["model base"].state == "missing"
    assert (said["device"].state, "the model's shape is unknown" in said["device"].detail) == ("ok", True)


@pytest.mark.parametrize("name", ["small", "/no/such/folder"])
def test_a_missing_repair_model_is_found_by_doctor_and_before_work_and_fails_no_recording(
    home: dict[str, str], name: str
) -> None:
    asked = {**home, "DIARY_WHISPER_MODEL": str(weights("tiny.en")), "DIARY_REPAIR_MODEL": name}
    said = found(**asked)[f"repair model {name}"]
    assert said.state == "missing"
    wiring = Wiring(load_settings(asked))
    for ask in (wiring.demand, wiring.transcriber):
        with pytest.raises(ServiceMissing) as missing:
            ask(wiring.settings.whisper_model)
        assert missing.value.message == said.detail
    assert "DIARY_REPAIR_MODEL" in said.detail
    assert f"`diary models get {name}`" in said.detail


@pytest.mark.parametrize(
    ("said", "detail"),
    [
        ({}, "keeps nothing that is deleted"),
        ({"softDeletePolicy": {"retentionDurationSeconds": "604800"}}, "there: its soft delete policy keeps objects"),
        ({"versioning": {"enabled": True}}, "stays recoverable there: object versioning is on"),
    ],
)
def test_a_bucket_is_asked_whether_what_is_deleted_is_gone(
    gcs: GcsServer, home: dict[str, str], said: dict[str, object], detail: str
) -> None:
    bucket = gcs.bucket()
    gcs.said[bucket] = said
    objects = found(**home, DIARY_BUCKET=f"gs://{bucket}/prefix")["objects"]
    assert (objects.state, detail in objects.detail) == ("ok", True), objects
    assert gcs.buckets[bucket] == {}, "nothing is written"


def test_a_bucket_that_we_may_only_read_is_missing(gcs: GcsServer, home: dict[str, str]) -> None:
    gcs.rights = {"storage.objects.get", "storage.objects.list"}
    objects = found(**home, DIARY_BUCKET=f"gs://{gcs.bucket()}")["objects"]
    assert objects.state == "missing"
    assert "refuses storage.objects.create, storage.objects.delete" in objects.detail


def test_a_bucket_whose_own_resource_may_not_be_seen_is_fine(gcs: GcsServer, home: dict[str, str]) -> None:
    bucket = gcs.bucket()
    gcs.faults.append(Fault(rf"GET /storage/v1/b/{bucket}$", status=403, times=9))
    objects = found(**home, DIARY_BUCKET=f"gs://{bucket}")["objects"]
    assert (objects.state, "may not be seen" in objects.detail) == ("ok", True)


def test_a_bucket_that_is_not_there_is_missing(gcs: GcsServer, home: dict[str, str]) -> None:
    objects = found(**home, DIARY_BUCKET="gs://nobodys")["objects"]
    assert (objects.state, "no bucket nobodys" in objects.detail) == ("missing", True)


def test_voice_activity_is_tried_and_needs_no_model(home: dict[str, str]) -> None:
    assert found(**home)["voice activity"].state == "ok"


@pytest.mark.skipif(HAS_GPU, reason="there is a GPU")
def test_a_gpu_that_is_asked_for_and_not_there_stops_work_and_otherwise_does_not(home: dict[str, str]) -> None:
    asked, open_ = found(**home, DIARY_DEVICE="cuda"), found(**home)
    assert (asked["device"].state, asked["cuda"].state) == ("missing", "absent")
    assert (open_["device"].state, open_["cuda"].state) == ("ok", "absent")
    assert "NVIDIA" in asked["device"].detail
    assert "NVIDIA" in open_["cuda"].detail


@pytest.mark.skipif(not HAS_GPU, reason="needs a GPU")
def test_a_gpu_is_described(home: dict[str, str]) -> None:
    assert "free memory" in found(**home)["cuda"].detail


@pytest.mark.speech
def test_a_model_is_verified_byte_by_byte(home: dict[str, str]) -> None:
    folder = Path(home["DIARY_MODEL_DIR"]) / "tiny.en"
    shutil.copytree(weights("tiny.en"), folder)
    whole = found(**home, DIARY_WHISPER_MODEL="tiny.en")
    assert (whole["model tiny.en"].state, "SHA-256 1a5afae06a4d" in whole["model tiny.en"].detail) == ("ok", True)
    chosen = choose(model=folder)
    assert whole["device"].detail.startswith(f"{chosen.name} in {chosen.compute_type}, log-mel by ")
    assert f"{chosen.batch_size} windows a call: 78 MiB each" in whole["device"].detail

    with (folder / "model.bin").open("r+b") as weights_file:
        weights_file.seek(50_000_000)
        weights_file.write(b"\0\1\2\3")
    damaged = found(**home, DIARY_WHISPER_MODEL="tiny.en")["model tiny.en"]
    assert (damaged.state, "diary models get tiny.en" in damaged.detail) == ("missing", True)


def test_the_queue_of_uploads_is_asked(home: dict[str, str], redis_url: str) -> None:
    assert "upload queue" not in found(**home)
    said = found(**home, DIARY_UPLOAD_QUEUE="redis", DIARY_REDIS_URL=redis_url)["upload queue"]
    assert (said.state, "0 waiting, 0 handed out, 0 dead letters" in said.detail) == ("ok", True), said
    nobody = found(**home, DIARY_UPLOAD_QUEUE="redis", DIARY_REDIS_URL="redis://:secret@127.0.0.1:1/0")["upload queue"]
    assert (nobody.state, "DIARY_REDIS_URL" in nobody.detail, "secret" in nobody.detail) == ("missing", True, False)


def test_watched_buckets_are_listed(gcs: GcsServer, home: dict[str, str], tmp_path: Path) -> None:
    config = tmp_path / "diary.toml"
    for bucket, state in ((gcs.bucket(), "ok"), ("no-such-bucket", "missing")):
        config.write_text(f'[[buckets]]\nurl = "gs://{bucket}/anna/"\nowner = "anna"\n')
        said = found(**home, DIARY_CONFIG=str(config))["watched bucket"]
        assert (said.state, bucket in said.detail) == (state, True), said
