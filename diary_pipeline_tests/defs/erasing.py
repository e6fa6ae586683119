"""What tests of erasure share: a house where everything is written in plain bytes, and the search of every byte.

A search of compressed bytes proves nothing, so Parquet and DuckDB are told to compress nothing. Only how they write is
changed; what is written, where and when is the product's.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from diary_pipeline.audio.decode import decode
from diary_pipeline.defs.resources import Eraser
from diary_pipeline.defs.wipe.partitions import DagsterPartitions
from diary_pipeline.ledger import erasures, recordings
from diary_pipeline.ledger.erasures import Erasure, Scope
from diary_pipeline.storage.keys import answers_prefix, checkpoint_prefix
from diary_pipeline.transcription.scripted import content_hash
from diary_pipeline.upkeep.erase import Erased
from diary_pipeline_tests.builders import speech_like
from diary_pipeline_tests.defs.house import CountingTranscriber, House

GONE_NAME, STAYS_NAME = "2026-03-02 zanzibarquux.wav", "2026-03-02 zzriverquartz.wav"
GONE_SAID = "I told Xylobravo about the zanzibarquux today. Tomorrow I need to call Doctor Xylobravo about it."
STAYS_SAID = "I told Rivermont about the riverquartz today. Tomorrow I need to call Doctor Rivermont about it."
GONE, STAYS = ("zanzibarquux", "xylobravo"), ("riverquartz", "rivermont")


def write_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have Parquet and DuckDB write texts as they are."""
    write, connect = pq.write_table, duckdb.connect

    def write_table(table: Any, where: Any, **options: Any) -> None:
        write(table, where, **{**options, "compression": "none", "use_dictionary": False})

    def open_plainly(*arguments: Any, config: Any = None, **options: Any) -> duckdb.DuckDBPyConnection:
        return connect(*arguments, config={**(config or {}), "force_compression": "uncompressed"}, **options)

    monkeypatch.setattr(pq, "write_table", write_table)
    monkeypatch.setattr(duckdb, "connect", open_plainly)


def fill(house: House) -> tuple[str, str]:
    """Bring two recordings of one day and owner through every stage in one batch; return (to be erased, to stay)."""
    script = {}
    for name, said, pitch in ((GONE_NAME, GONE_SAID, 140.0), (STAYS_NAME, STAYS_SAID, 180.0)):
        path = house.drop(name, speech_like(4.0, pitch_hz=pitch))
        script[content_hash(decode(path))] = said
        path.with_name(f"{name}.json").write_text(json.dumps({"title": f"Title {name}", "tags": [f"tag {name}"]}))
    house.wiring.ears = CountingTranscriber(script)
    assert [run.success for run in house.once()] == [True, True, True]
    gone, stays = sorted(house.keys(), key=lambda key: "zanzibarquux" not in key)
    for key, said in ((gone, GONE_SAID), (stays, STAYS_SAID)):
        leave_traces(house, key, said)
    return gone, stays


def leave_traces(house: House, key: str, said: str) -> None:
    """Leave what a killed worker and a paid route leave: a finished window and an answer."""
    with house.ledger.reading() as conn:
        recording = recordings.get(conn, key)
    store = house.wiring.store
    store.put(f"{checkpoint_prefix(recording.owner, recording.content_sha256, 'v1')}0.json", said.encode())
    store.put(f"{answers_prefix(recording.owner, key)}answer.json", said.encode())


def build_marts(house: House) -> None:
    """Build what dbt builds, as far as the publisher looks: tables of texts, and what they were made of."""
    marts = house.settings.marts_file
    with duckdb.connect(str(marts)) as db:
        db.execute(f"ATTACH '{house.settings.catalogue_file}' AS catalogue (READ_ONLY)")
        db.execute("CREATE SCHEMA marts.marts")
        db.execute("CREATE TABLE marts.marts.daily AS SELECT note_date, title, markdown FROM catalogue.notes")
        db.execute("CREATE TABLE marts.marts.marts_state AS SELECT watermark FROM catalogue.catalogue_state")


def forget_sources(house: House) -> None:
    """Do as a person does who wants a file gone: delete it where it came from."""
    for path in house.settings.drop_dir.iterdir():
        if "zanzibarquux" in path.name:
            path.unlink()


def hide(house: House, target: str, scope: Scope = "recording") -> Erasure:
    """Ask for an erasure."""
    return erasures.hide(house.ledger, house.wiring.seal, scope, target)


def eraser(house: House) -> Eraser:
    """Give what finishes erasures, publishing in this process."""
    return Eraser(house.wiring, house.wiring.publisher.compact)


def finish(house: House) -> Erased:
    """Finish the erasures that wait."""
    return eraser(house)(DagsterPartitions(house.instance))


def told_in(root: Path, words: Iterable[str], leave_out: Sequence[Path] = ()) -> dict[str, int]:
    """Count by file how often the words stand in its bytes, or in its name."""
    found: dict[str, int] = {}
    for path in sorted(root.rglob("*")):
        if any(out in path.parents for out in leave_out):
            continue
        text = path.read_bytes().lower() if path.is_file() else b""
        n = sum(text.count(word.encode()) + (word in path.name.lower()) for word in words)
        if n:
            found[str(path.relative_to(root))] = n
    return found
