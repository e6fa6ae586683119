"""Catalogues as older programs wrote them: the columns of every schema version there was, frozen.

They make objects of the log and published files of that version out of today's. Never edit a released version here.
"""

from collections.abc import Mapping
from pathlib import Path

import duckdb

from diary_pipeline.storage.store import ObjectStore

Columns = Mapping[str, Mapping[str, str]]
"""Types of columns, by table and name."""

_HEAD = "recording_key VARCHAR, user_id VARCHAR"
_FIRST = {
    "recordings": "recording_key VARCHAR, submission_id VARCHAR, user_id VARCHAR, file_name VARCHAR, "
    "content_sha256 VARCHAR, duration_s DOUBLE, recorded_at TIMESTAMP, recorded_at_source VARCHAR, "
    "recorded_at_confidence DOUBLE, recorded_day DATE, time_zone VARCHAR, title VARCHAR, tags VARCHAR[], "
    "language VARCHAR, language_probability DOUBLE, status VARCHAR, failed_stage VARCHAR, reason_code VARCHAR, "
    "message VARCHAR, whisper_model VARCHAR, model_sha256 VARCHAR, transcript_version VARCHAR, processed_at TIMESTAMP",
    "segments": f"{_HEAD}, segment_id INTEGER, start_s DOUBLE, end_s DOUBLE, kind VARCHAR, text VARCHAR, "
    "language VARCHAR, avg_logprob DOUBLE, no_speech_prob DOUBLE, compression_ratio DOUBLE, words WORDS",
    "transcripts": f"{_HEAD}, duration_s DOUBLE, language VARCHAR, language_probability DOUBLE, engine VARCHAR, "
    "model VARCHAR, model_sha256 VARCHAR, parameters VARCHAR, code_version VARCHAR, version VARCHAR",
    "notes": f"{_HEAD}, note_date DATE, title VARCHAR, summary VARCHAR, mood VARCHAR, writer VARCHAR, "
    "degraded BOOLEAN, language VARCHAR, markdown VARCHAR, prompt_version VARCHAR, transcript_version VARCHAR, "
    "cost_usd DOUBLE, limits VARCHAR[], version VARCHAR",
    "note_items": f"{_HEAD}, item_id INTEGER, kind VARCHAR, text VARCHAR, segment_id INTEGER, start_s DOUBLE, "
    "end_s DOUBLE, quote VARCHAR, due_date DATE",
    "llm_calls": f"{_HEAD}, at TIMESTAMP, route VARCHAR, model VARCHAR, outcome VARCHAR, seconds DOUBLE, "
    "input_tokens BIGINT, cached_tokens BIGINT, output_tokens BIGINT, cost_usd DOUBLE",
    "checks": f"{_HEAD}, check_name VARCHAR, passed BOOLEAN, severity VARCHAR, detail VARCHAR, stage VARCHAR",
}
_ADDED = {
    2: {"recordings": "recorded_at_note VARCHAR"},
    3: {
        "segments": "raw_text VARCHAR, reason VARCHAR, risks VARCHAR[], rung VARCHAR, model_sha256 VARCHAR, "
        "language_probability DOUBLE"
    },
    4: {
        "recordings": "vocabulary VARCHAR[]",
        "note_items": "task_verb VARCHAR, task_object VARCHAR[], task_about VARCHAR[]",
        "completions": f"{_HEAD}, completion_id INTEGER, text VARCHAR, outcome VARCHAR, done_date DATE, "
        "segment_id INTEGER, start_s DOUBLE, end_s DOUBLE, quote VARCHAR, verbs VARCHAR[], object VARCHAR[], "
        "about VARCHAR[]",
    },
    5: {},
    6: {
        "segments": "machine_text VARCHAR",
        "notes": "machine_title VARCHAR, machine_note_date DATE",
        "note_items": "machine_text VARCHAR, correction VARCHAR",
        "corrections": f"{_HEAD}, correction_id VARCHAR, target VARCHAR, item_kind VARCHAR, start_s DOUBLE, "
        "end_s DOUBLE, machine_text VARCHAR, text VARCHAR, made_at TIMESTAMP, made_by VARCHAR, placed BOOLEAN, "
        "segment_id INTEGER, item_id INTEGER",
        "corrected_notes": f"{_HEAD}, version VARCHAR, note_version VARCHAR, markdown VARCHAR",
    },
}
VERSIONS = (1, *_ADDED)
_UNPUBLISHED = {"transcripts", "words"}


def columns_of(version: int) -> Columns:
    """Give the tables of the log and their columns as a program of that version wrote them."""
    told = {table: _split(columns) for table, columns in _FIRST.items()}
    for added in (_ADDED[n] for n in VERSIONS[1:version]):
        for table, columns in added.items():
            told[table] = {**told.get(table, {}), **_split(columns)}
    return told


def _split(columns: str) -> dict[str, str]:
    return {name: kind for name, _, kind in (column.partition(" ") for column in columns.split(", "))}


def age_objects(store: ObjectStore, version: int, scratch: Path) -> None:
    """Make all objects of the log what a program of that version would have written."""
    known = columns_of(version)
    for key in [k for k in store.list("catalogue/") if k.endswith(".parquet")]:
        table = key.rpartition("/")[2].removesuffix(".parquet")
        if table not in known:
            store.delete(key)
            continue
        older = scratch / "older.parquet"
        with duckdb.connect() as db:
            written = [row[0] for row in db.execute("DESCRIBE FROM read_parquet(?)", [str(store.path(key))]).fetchall()]
            kept = ", ".join(f'"{name}"' for name in written if name in known[table])
            db.execute(f"COPY (SELECT {kept} FROM read_parquet(?)) TO '{older}'", [str(store.path(key))])
        store.put_file(key, older)


def older_file(published: Path, version: int, target: Path) -> None:
    """Write the published file that a program of that version would have folded from the objects of `published`."""
    with duckdb.connect(str(target)) as db:
        db.execute(f"ATTACH '{published}' AS today (READ_ONLY)")
        place = "main" if version < 5 else "data"
        db.execute(f"CREATE SCHEMA IF NOT EXISTS {place}")
        for table, columns in columns_of(version).items():
            if table in _UNPUBLISHED:
                continue
            kept = {name: kind for name, kind in columns.items() if name not in _UNPUBLISHED} | {"commit_seq": "BIGINT"}
            declared = ", ".join(f'"{name}" {kind}' for name, kind in kept.items())
            names = ", ".join(f'"{name}"' for name in kept)
            db.execute(f"CREATE TABLE {place}.{table}({declared})")
            db.execute(f"INSERT INTO {place}.{table} SELECT {names} FROM today.data.{table}")
            if place == "data":
                db.execute(f"CREATE VIEW {table} AS SELECT * FROM data.{table}")
        db.execute("CREATE TABLE catalogue_state(watermark BIGINT, published_at TIMESTAMP, schema_version INTEGER)")
        db.execute(f"INSERT INTO catalogue_state SELECT watermark, published_at, {version} FROM today.catalogue_state")
        if version == 4:  # computed views were there, and must not be in the way
            db.execute("CREATE VIEW recording_costs AS SELECT recording_key FROM recordings")
        db.execute("DETACH today")
