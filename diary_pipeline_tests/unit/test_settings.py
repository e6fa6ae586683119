"""Settings: where each value comes from, and what is refused."""

from importlib import resources
from pathlib import Path

import pytest
import yaml

from diary_pipeline.cli.home import prepare_home
from diary_pipeline.core.errors import UsageError
from diary_pipeline.core.owner import Owner
from diary_pipeline.settings import SETTINGS, Settings, load_settings
from diary_pipeline.settings_pages import explain, masked
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline.storage.gcs import GcsStore
from diary_pipeline.wiring.deployment import Wiring

PEOPLE = """
[owners.anna]
languages = ["de", "en"]
time_zone = "Europe/Berlin"
vocabulary = ["Zillertal"]

[owners.anna.replacements]
"confu i" = "ComfyUI"
"Mieka" = "Mika"

[[folders]]
path = "memos"
owner = "anna"
language = "de"
whisper_model = "small"
tags = ["phone"]
vocabulary = ["Brenner"]
ignore = ["*.tmp"]
not_older_than_days = 30
"""


def test_without_any_variable_everything_lies_below_one_absolute_home() -> None:
    settings = load_settings({})
    assert settings.home.is_absolute()
    assert settings.ledger_url == f"sqlite:///{settings.home}/ledger.sqlite"
    below = [settings.object_dir, settings.catalogue_file, settings.drop_dir, settings.note_dir, settings.dagster_home]
    below += [settings.transcript_dir]
    assert all(path.is_relative_to(settings.home) for path in below)
    assert not settings.model_dir.is_relative_to(settings.home)
    assert [folder.path for folder in settings.folders] == [settings.drop_dir]


def test_the_home_moves_what_lies_below_it_and_a_named_place_stays(tmp_path: Path) -> None:
    settings = load_settings(
        {"DIARY_HOME": str(tmp_path), "DIARY_OBJECT_DIR": "/mnt/objects", "DAGSTER_HOME": "/srv/d"}
    )
    assert settings.catalogue_file == tmp_path / "catalogue.duckdb"
    assert settings.object_dir == Path("/mnt/objects")
    assert settings.dagster_home == Path("/srv/d")


def test_a_bucket_takes_the_place_of_the_object_folder() -> None:
    settings = load_settings({"DIARY_BUCKET": "gs://diary/prefix"})
    assert isinstance(Wiring(settings).store, GcsStore)
    assert isinstance(Wiring(load_settings({})).store, FolderStore)
    with pytest.raises(UsageError, match=r"DIARY_BUCKET cannot be used: .*gs://BUCKET") as refused:
        load_settings({"DIARY_BUCKET": "/mnt/diary"})
    assert refused.value.code == "config_invalid"


def test_no_setting_is_read_from_the_process_when_a_mapping_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIARY_BEAM_SIZE", "1")
    assert load_settings({}).beam_size == 5
    assert load_settings().beam_size == 1


def test_the_environment_wins_over_the_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("DIARY_BEAM_SIZE=2\nDIARY_LEASE_S=30\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIARY_BEAM_SIZE", "1")
    settings = load_settings()
    assert (settings.beam_size, settings.lease_s) == (1, 30.0)


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"DIARY_BEEM_SIZE": "1"}, "DIARY_BEEM_SIZE is not a setting, did you mean DIARY_BEAM_SIZE"),
        ({"DIARY_BEAM_SIZE": "wide"}, "DIARY_BEAM_SIZE cannot be used"),
        ({"DIARY_BEAM_SIZE": "0"}, "DIARY_BEAM_SIZE cannot be used"),
        ({"DIARY_DEVICE": "tpu"}, "DIARY_DEVICE cannot be used"),
        ({"DIARY_TRANSCRIPT_FILES": "srt,docx"}, "DIARY_TRANSCRIPT_FILES cannot be used: input should be 'txt'"),
        ({"DIARY_TRANSCRIPT_DIR": "/d/n", "DIARY_NOTE_DIR": "/d/n"}, "would replace the note"),
        ({"DIARY_TIME_ZONE": "Mars/Olympus"}, "DIARY_TIME_ZONE cannot be used: 'Mars/Olympus' is no IANA time zone"),
        ({"DIARY_TIME_ZONE": "../etc/passwd"}, "DIARY_TIME_ZONE cannot be used"),
        ({"DIARY_WHISPER_MODEL": "huge"}, "DIARY_WHISPER_MODEL huge is not among DIARY_ALLOWED_MODELS"),
        ({"DIARY_REPAIR_MODEL": "smal"}, "DIARY_REPAIR_MODEL smal is no model; use one of tiny"),
        ({"DIARY_WINDOW_BATCH_SIZE": "65"}, "DIARY_WINDOW_BATCH_SIZE cannot be used"),
        ({"DIARY_TRANSCRIPTION_URL": "https://h/v1?api-key=K"}, "a key belongs into DIARY_TRANSCRIPTION_API_KEY"),
        ({"DIARY_TRANSCRIPTION_URL": "https://h/v1#K"}, "it must hold no query and no fragment"),
        ({"DIARY_DEFAULT_OWNER": "a/b"}, "DIARY_DEFAULT_OWNER cannot be used"),
        ({"DIARY_CONFIG": "/nowhere/diary.toml"}, "/nowhere/diary.toml, cannot be read"),
    ],
)
def test_a_wrong_variable_is_refused_by_name(env: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError) as refusal:
        load_settings(env)
    assert refusal.value.code == "config_invalid"
    assert said in refusal.value.message
    assert refusal.value.message.endswith(".")
    assert "\n" not in refusal.value.message


@pytest.mark.parametrize(
    "env",
    [
        {"DIARY_REQUIRE_SERVERS": "1"},
        {"DIARY_UI_PORT": "tcp://10.0.0.7:3000"},
        {"DIARY_UI_SERVICE_HOST": "10.0.0.7"},
        {"DIARY_API_PORT_8000_TCP_ADDR": "10.0.0.7"},
        {"DIARY_BEAM_SIZE": ""},
    ],
    ids=lambda env: next(iter(env)),
)
def test_what_others_put_into_the_environment_is_left_alone(env: dict[str, str]) -> None:
    assert load_settings(env).model_dump(exclude={"origins"}) == load_settings({}).model_dump(exclude={"origins"})


def test_the_file_names_owners_and_folders(tmp_path: Path) -> None:
    file = tmp_path / "diary.toml"
    file.write_text(PEOPLE)
    settings = load_settings({"DIARY_CONFIG": str(file), "DIARY_TIME_ZONE": "Asia/Tokyo"})
    assert settings.owner("anna") == Owner(
        "anna", "Europe/Berlin", ("de", "en"), ("Zillertal",), (("Mieka", "Mika"), ("confu i", "ComfyUI"))
    )
    assert settings.owner("ben") == Owner("ben", "Asia/Tokyo")
    assert settings.owner() == Owner("me", "Asia/Tokyo")
    folder = settings.folders[1]
    assert (folder.path, folder.owner, folder.language) == (tmp_path / "memos", "anna", "de")
    assert (folder.whisper_model, folder.tags, folder.ignore) == ("small", ("phone",), ("*.tmp",))
    assert folder.vocabulary == ("Brenner",)
    assert folder.not_older_than_days == 30


def test_a_folder_chooses_the_template_of_its_notes_by_a_tag_unless_its_owner_says_otherwise(tmp_path: Path) -> None:
    file = tmp_path / "diary.toml"
    file.write_text(
        "[owners.anna]\ntag_templates = {dreams = 'default'}\n[templates.dreams]\ntone = 'Present tense.'\n"
        "[[folders]]\npath = 'a'\ntags = ['night']\ntemplate = 'dreams'\n"
        "[[folders]]\npath = 'b'\nowner = 'anna'\ntemplate = 'dreams'\n"
    )
    settings = load_settings({"DIARY_CONFIG": str(file), "DIARY_TIME_ZONE": "Asia/Tokyo"})
    assert [folder.tags for folder in settings.folders[1:]] == [("night", "dreams"), ("dreams",)]
    assert settings.owner() == Owner("me", "Asia/Tokyo", tag_templates=(("dreams", "dreams"),))
    assert settings.owner("anna").tag_templates == (("dreams", "default"),)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[owners.anna\n", "is no valid TOML"),
        ("[owners.anna]\nlangauges = ['de']\n", "owners.anna.langauges is not a known key"),
        ("[owners.anna]\nlanguages = ['German']\n", "owners.anna.languages[0]"),
        ("[owners.anna]\ntime_zone = 'Berlin'\n", "owners.anna.time_zone: 'Berlin' is no IANA time zone"),
        ("[owners.'a b']\n", "owners.a b"),
        (f"[owners.anna]\nvocabulary = ['{'x' * 65}']\n", "owners.anna.vocabulary: a term of vocabulary must not be"),
        ("[owners.anna.replacements]\n'...' = 'x'\n", "owners.anna.replacements: each replacement needs words"),
        ("[owners.anna.replacements]\n'x' = ' '\n", "owners.anna.replacements: each replacement needs words"),
        ("[owners.anna.replacements]\n'x' = 5\n", "owners.anna.replacements.x: input should be a valid string"),
        ("[[folders]]\npath = 'x'\nowner = 'a b'\n", "folders[0].owner: 'a b' cannot be an owner's name"),
        (f"[[folders]]\npath = 'x'\ntags = ['{'x' * 65}']\n", "folders[0].tags: a tag must not be longer than 64"),
        ("[[folders]]\nowner = 'anna'\n", "folders[0].path: field required"),
        ("[[folders]]\npath = 'x'\ntemplate = 'dreams'\n", "folder x names the template 'dreams', and there is no"),
        ("[[folders]]\npath = 'x'\nwhisper_model = 'huge'\n", "huge is not in DIARY_ALLOWED_MODELS"),
        ("whisper_model = 'base'\n", "whisper_model is not a known key"),
    ],
)
def test_a_wrong_file_is_refused_by_key(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "diary.toml"
    file.write_text(text)
    with pytest.raises(UsageError) as refusal:
        load_settings({"DIARY_CONFIG": str(file)})
    assert refusal.value.code == "config_invalid"
    assert said in refusal.value.message
    assert str(file) in refusal.value.message


def test_the_machine_zone_comes_from_tz() -> None:
    assert load_settings({"TZ": "Europe/Berlin"}).time_zone == "Europe/Berlin"
    assert load_settings({"TZ": "Europe/Berlin", "DIARY_TIME_ZONE": "Asia/Tokyo"}).time_zone == "Asia/Tokyo"


def test_explain_tells_sources_and_hides_passwords(tmp_path: Path) -> None:
    file = tmp_path / "diary.toml"
    file.write_text(PEOPLE)
    url = "postgresql+psycopg2://diary:s3cr@t@db:5432/diary"
    rows = {
        row.name: row
        for row in explain(load_settings({"DIARY_CONFIG": str(file), "DIARY_LEDGER_URL": url, "TZ": "UTC"}))
    }
    assert rows["DIARY_LEDGER_URL"].value == "postgresql+psycopg2://diary:***@db:5432/diary"
    sources = [rows[name].source for name in ("DIARY_LEDGER_URL", "DIARY_BEAM_SIZE", "DIARY_TIME_ZONE", "owners.anna")]
    assert sources == ["environment", "default", "machine", "file"]


def test_a_url_without_a_password_is_told_as_it_is() -> None:
    assert masked("sqlite:////srv/ledger.sqlite") == "sqlite:////srv/ledger.sqlite"


def test_every_setting_has_a_sentence_and_a_group() -> None:
    for name in SETTINGS.values():
        field = Settings.model_fields[name]
        assert field.description
        assert field.description.endswith(".")


def test_a_child_process_given_the_environment_has_the_same_settings(tmp_path: Path) -> None:
    file = tmp_path / "diary.toml"
    file.write_text(PEOPLE)
    said = {
        "DIARY_CONFIG": str(file),
        "DIARY_HOME": str(tmp_path),
        "DIARY_WRITE_NOTE_FILES": "no",
        "DIARY_MAX_AUDIO_S": "9",
    }
    settings = load_settings(said)
    again = load_settings(settings.environment())
    assert again.model_dump(exclude={"origins"}) == settings.model_dump(exclude={"origins"})


def test_an_own_model_is_offered_without_being_listed() -> None:
    settings = load_settings({"DIARY_WHISPER_MODEL": "/srv/models/ours", "DIARY_ALLOWED_MODELS": "base, tiny.en"})
    assert settings.allowed_models == ("base", "tiny.en", "/srv/models/ours")


BUCKETS = """
[[buckets]]
url = "gs://voice-memos/mit Rad/"
owner = "anna"
language = "de"
ignore = ["drafts"]
not_older_than_days = 30

[[buckets]]
url = "gs://voice-memos"
"""


def test_buckets_are_watched_as_the_file_says(tmp_path: Path) -> None:
    (tmp_path / "diary.toml").write_text(BUCKETS)
    mine, rest = load_settings({"DIARY_CONFIG": str(tmp_path / "diary.toml"), "DIARY_DEFAULT_OWNER": "eve"}).buckets
    assert (mine.url, mine.owner, mine.language) == ("gs://voice-memos/mit Rad/", "anna", "de")
    assert (mine.ignore, mine.not_older_than_days) == (("drafts",), 30)
    assert (rest.bucket, rest.prefix, rest.owner) == ("voice-memos", "", "eve")


@pytest.mark.parametrize(
    ("said", "variables", "complaint"),
    [
        ('url = "s3://memos"', {}, "gs://BUCKET"),
        ('url = "gs://memos"\n[[buckets]]\nurl = "gs://memos/"', {}, "named twice"),
        ('url = "gs://memos"\nwhisper_model = "nonesuch"', {}, "nonesuch is not in DIARY_ALLOWED_MODELS"),
        ('url = "gs://ours/home/audio"', {"DIARY_BUCKET": "gs://ours/home"}, "lies in DIARY_BUCKET"),
        ('url = "gs://ours"', {"DIARY_BUCKET": "gs://ours"}, "lies in DIARY_BUCKET"),
        ('url = "gs://memos"\nlangauge = "de"', {}, "langauge is not a known key"),
    ],
)
def test_a_bucket_that_cannot_be_watched_is_refused(
    tmp_path: Path, said: str, variables: dict[str, str], complaint: str
) -> None:
    (tmp_path / "diary.toml").write_text(f"[[buckets]]\n{said}\n")
    with pytest.raises(UsageError, match=complaint):
        load_settings({"DIARY_CONFIG": str(tmp_path / "diary.toml"), **variables})


def test_our_own_objects_may_lie_beside_watched_ones(tmp_path: Path) -> None:
    (tmp_path / "diary.toml").write_text('[[buckets]]\nurl = "gs://ours"\n')
    assert load_settings({"DIARY_CONFIG": str(tmp_path / "diary.toml"), "DIARY_BUCKET": "gs://ours/home"}).buckets


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({"DIARY_UPLOAD_QUEUE": "redis"}, "needs DIARY_REDIS_URL"),
        ({"DIARY_UPLOAD_QUEUE": "redis", "DIARY_REDIS_URL": "http://127.0.0.1"}, "redis://"),
        ({"DIARY_UPLOAD_QUEUE": "pubsub"}, "needs DIARY_PUBSUB_PROJECT"),
        (
            {"DIARY_UPLOAD_QUEUE": "pubsub", "DIARY_PUBSUB_PROJECT": "home-1", "DIARY_PUBSUB_SUBSCRIPTION": "memos"},
            "needs DIARY_PUBSUB_DEAD_LETTER_TOPIC",
        ),
        ({"DIARY_UPLOAD_QUEUE": "kafka"}, "DIARY_UPLOAD_QUEUE cannot be used"),
    ],
)
def test_a_queue_that_lacks_something_is_refused_before_anything_runs(said: dict[str, str], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        load_settings(said)


@pytest.mark.parametrize(
    ("said", "dagster_url"),
    [
        ({}, ""),
        ({"DIARY_LEDGER_URL": "sqlite:////srv/ledger.sqlite"}, ""),
        ({"DIARY_LEDGER_URL": "postgresql://diary@db/diary"}, "postgresql://diary@db/diary"),
        (
            {"DIARY_LEDGER_URL": "postgresql://a@db/x", "DIARY_DAGSTER_URL": "postgresql://b@db/y"},
            "postgresql://b@db/y",
        ),
        ({"DIARY_DAGSTER_URL": "postgresql://b@db/y"}, "postgresql://b@db/y"),
    ],
)
def test_dagster_keeps_its_state_where_the_ledger_is_unless_it_is_said(
    tmp_path: Path, said: dict[str, str], dagster_url: str
) -> None:
    settings = load_settings({"DIARY_HOME": str(tmp_path), **said})
    assert settings.dagster_url == dagster_url
    prepare_home(settings)
    storage = "PostgresStorage" if dagster_url else "SqliteStorage"
    assert f"class: Batching{storage}" in (settings.dagster_home / "dagster.yaml").read_text()
    if dagster_url:
        assert settings.environment()["DIARY_DAGSTER_URL"] == dagster_url


def test_both_templates_of_dagster_yaml_say_the_same_but_for_storage_and_how_much_runs_at_once() -> None:
    read = {
        kind: yaml.safe_load(resources.files("diary_pipeline").joinpath(f"instance/dagster.{kind}.yaml").read_text())
        for kind in ("sqlite", "postgres")
    }
    for said in read.values():
        del said["storage"], said["concurrency"]["runs"]
    assert read["sqlite"] == read["postgres"]
