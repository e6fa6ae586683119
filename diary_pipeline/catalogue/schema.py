"""The catalogue's tables, declared once: DuckDB, Parquet and the documentation all read this.

Turning domain objects into rows is rows.py's business. Names are a contract with users: add freely, rename never.

What surprises: there are no keys and no indexes. The ledger's pointers make rows unique, and DuckDB's zone maps find
them, because a recording key begins with its day. Instants are UTC without a zone type, because fetching TIMESTAMPTZ in
Python needs pytz.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from diary_pipeline.ledger.pointers import PointerKind

SCHEMA_VERSION = 6
"""A published file of another version is built anew from the log."""

DATA = "data"
"""Schema of the tables. Users ask the views of the same names, so that what lies behind them may move."""

ColumnType = Literal["text", "texts", "integer", "seq", "number", "yes_no", "instant", "day", "words"]

DUCKDB: Mapping[ColumnType, str] = {
    "text": "VARCHAR",
    "texts": "VARCHAR[]",
    "integer": "INTEGER",
    "seq": "BIGINT",
    "number": "DOUBLE",
    "yes_no": "BOOLEAN",
    "instant": "TIMESTAMP",
    "day": "DATE",
    "words": "STRUCT(text VARCHAR, start_s DOUBLE, end_s DOUBLE, probability DOUBLE)[]",
}
_WORD = pa.struct(
    [("text", pa.string()), ("start_s", pa.float64()), ("end_s", pa.float64()), ("probability", pa.float64())]
)
_ARROW: Mapping[ColumnType, pa.DataType] = {
    "text": pa.string(),
    "texts": pa.list_(pa.string()),
    "integer": pa.int32(),
    "seq": pa.int64(),
    "number": pa.float64(),
    "yes_no": pa.bool_(),
    "instant": pa.timestamp("us"),
    "day": pa.date32(),
    "words": pa.list_(_WORD),
}


@dataclass(frozen=True)
class Column:
    """One column; `meaning` is one line with the unit."""

    name: str
    type: ColumnType
    meaning: str
    published: bool = True
    """False: in the log's Parquet only."""
    logged: bool = True
    """False: in the published file only; the fold fills it (fold_corrections.py)."""


@dataclass(frozen=True)
class Table:
    """One table; its rows follow the pointers of `kind`, together with everything else of that kind."""

    name: str
    kind: PointerKind
    row: str
    columns: tuple[Column, ...]
    order: str = "user_id"
    """How the rows of one subject lie beside each other."""
    published: bool = True
    shown: str | None = "true"
    """Which rows users see, as a condition; None: none, it is for the fold alone."""

    @property
    def visible(self) -> tuple[Column, ...]:
        """The columns of the published file, `commit_seq` included."""
        return (*(c for c in self.columns if c.published), COMMIT_SEQ)

    @property
    def arrow(self) -> pa.Schema:
        """The schema of the Parquet files; `commit_seq` is the ledger's to give, so it is not in them."""
        return pa.schema([(c.name, _ARROW[c.type]) for c in self.columns if c.logged])

    @property
    def stored(self) -> str:
        """Where the rows lie in the published file."""
        return f"{DATA}.{self.name}"

    @property
    def ddl(self) -> tuple[str, ...]:
        """The statements that create the published table, and the view by which users know it."""
        columns = ", ".join(f'"{c.name}" {DUCKDB[c.type]}' for c in self.visible)  # `at` is a reserved word
        table = f"CREATE TABLE {self.stored}({columns})"
        view = f"CREATE VIEW {self.name} AS SELECT * FROM {self.stored}"  # noqa: S608 - names of this file
        return (
            (table,) if self.shown is None else (table, view if self.shown == "true" else f"{view} WHERE {self.shown}")
        )


COMMIT_SEQ = Column("commit_seq", "seq", "order of the commit that brought this row; the watermark of readers")
_KEY = Column("recording_key", "text", "the recording, the same as its partition key")
_USER = Column("user_id", "text", "whose diary it is")

RECORDINGS = Table(
    "recordings",
    "outcome",
    "a recording, or a refused submission (without a key), in its ended state",
    (
        Column("recording_key", "text", "the recording, the same as its partition key; NULL: refused at the door"),
        Column("submission_id", "text", "the submission that brought it in first"),
        _USER,
        Column("file_name", "text", "as it was submitted"),
        Column("content_sha256", "text", "of the audio bytes; NULL: refused before they were hashed"),
        Column("duration_s", "number", "seconds, measured by decoding; NULL: never decoded to the end"),
        Column("recorded_at", "instant", "when it was spoken, UTC"),
        Column(
            "recorded_at_source",
            "text",
            "what told it: explicit, container_offset, file_name, container_local, container_utc, "
            "file_name_day (no clock is known) or file_time (a guess)",
        ),
        Column("recorded_at_confidence", "number", "0 to 1"),
        Column(
            "recorded_at_note", "text", "where two sources disagree, or a sidecar was left out; NULL: nothing to say"
        ),
        Column("recorded_day", "day", "the day it was spoken, in time_zone"),
        Column("time_zone", "text", "IANA name of the owner's time zone"),
        Column("title", "text", "given by the user"),
        Column("tags", "texts", "given by the user"),
        Column("vocabulary", "texts", "names and terms given by the user as hints, beside the owner's"),
        Column("language", "text", "ISO 639-1, of most of the speech"),
        Column("language_probability", "number", "0 to 1"),
        Column("status", "text", "completed, degraded, failed, cancelled or refused"),
        Column("failed_stage", "text", "transcript or note"),
        Column("reason_code", "text", "why it failed, was refused or has no note"),
        Column("message", "text", "the same in one sentence, with what to do"),
        Column("whisper_model", "text", "of the current transcript; without one, the model that was asked for"),
        Column("model_sha256", "text", "of the weights that were used; NULL: unknown, a server holds them"),
        Column("transcript_version", "text", "of the transcript it ended with"),
        Column("processed_at", "instant", "when it ended, UTC"),
    ),
)
SEGMENTS = Table(
    "segments",
    "transcript",
    "a timed piece of a recording; every second lies in exactly one",
    (
        _KEY,
        _USER,
        Column("segment_id", "integer", "counts from 0 in order of time"),
        Column("start_s", "number", "seconds from the start of the recording"),
        Column("end_s", "number", "seconds from the start of the recording"),
        Column("kind", "text", "speech, inaudible or silence"),
        Column("text", "text", "what was said; empty unless speech"),
        Column("language", "text", "ISO 639-1"),
        Column("avg_logprob", "number", "mean log-probability of its tokens, natural logarithm"),
        Column("no_speech_prob", "number", "0 to 1"),
        Column("compression_ratio", "number", "bytes of text by compressed bytes; loops are above 2.4"),
        Column(
            "raw_text", "text", "what the model heard, where a replacement changed text; NULL: text is what was heard"
        ),
        Column("reason", "text", "of an inaudible one: nothing_heard, or the signal for which its text was refused"),
        Column("risks", "texts", "signals raised about a text that was kept; empty: trusted; NULL: not looked for"),
        Column("rung", "text", "how it was heard: batched, server, or the rung of the repair ladder"),
        Column("model_sha256", "text", "of the weights that heard it; NULL: unknown"),
        Column("language_probability", "number", "0 to 1, of language in the stretch it was heard with"),
        Column("words", "words", "each word with its seconds and probability", published=False),
        Column(
            "machine_text",
            "text",
            "what stood in text before its owner corrected it, empty where nothing was heard; NULL: not corrected",
            logged=False,
        ),
    ),
    order="segment_id",
)
TRANSCRIPTS = Table(
    "transcripts",
    "transcript",
    "the whole of a recording's transcript, beside its segments",
    (
        _KEY,
        _USER,
        Column("duration_s", "number", "seconds, measured by decoding"),
        Column("language", "text", "ISO 639-1; NULL: nothing was said"),
        Column("language_probability", "number", "0 to 1"),
        Column("engine", "text", "the program that transcribed"),
        Column("model", "text", "name of the weights"),
        Column("model_sha256", "text", "of the weights; NULL: unknown"),
        Column("parameters", "text", "of the engine, JSON"),
        Column("code_version", "text", "of our engine code"),
        Column("version", "text", "16 hex of audio, engine and hints"),
    ),
    published=False,
)
NOTES = Table(
    "notes",
    "note",
    "the note of a recording",
    (
        _KEY,
        _USER,
        Column("note_date", "day", "the day it tells of"),
        Column("title", "text", "one line"),
        Column("summary", "text", "in the speaker's own person"),
        Column("mood", "text", "very_negative, negative, neutral, mixed, positive or very_positive"),
        Column("writer", "text", "llm or offline"),
        Column("degraded", "yes_no", "routes are configured, but the offline writer had to write it"),
        Column("language", "text", "ISO 639-1"),
        Column("markdown", "text", "the note as people read it"),
        Column("prompt_version", "text", "of the prompt, or of the offline writer's rules"),
        Column("transcript_version", "text", "of the transcript it was written from"),
        Column("cost_usd", "number", "US dollars paid for it, all attempts included; NULL: a route has no price"),
        Column("limits", "texts", "what the writer could not do for this recording, as codes"),
        Column("version", "text", "changes whenever the same transcript could give another note"),
        Column("machine_title", "text", "the title before its owner corrected it; NULL: not corrected", logged=False),
        Column("machine_note_date", "day", "the day before its owner corrected it; NULL: not corrected", logged=False),
    ),
)
NOTE_ITEMS = Table(
    "note_items",
    "note",
    "a claim of a note, with its evidence",
    (
        _KEY,
        _USER,
        Column("item_id", "integer", "counts within the note"),
        Column("kind", "text", "event, reflection, action, person, place, topic or quote"),
        Column("text", "text", "the claim"),
        Column("segment_id", "integer", "the segment it was said in"),
        Column("start_s", "number", "seconds from the start of the recording"),
        Column("end_s", "number", "seconds from the start of the recording"),
        Column("quote", "text", "word for word from that segment"),
        Column("due_date", "day", "of an action"),
        Column("task_verb", "text", "of an action: stem of what is to be done; NULL: no single thing could be read"),
        Column("task_object", "texts", "of an action: stems of what it is to be done to, the thing itself last"),
        Column("task_about", "texts", "of an action: stems of what was said beside it"),
        Column("machine_text", "text", "the claim before its owner corrected it; NULL: not corrected", logged=False),
        Column(
            "correction",
            "text",
            "text: corrected; removed: its owner struck it, not shown; NULL: neither",
            logged=False,
        ),
    ),
    order="item_id",
    shown="correction IS DISTINCT FROM 'removed'",
)
COMPLETIONS = Table(
    "completions",
    "note",
    "words in which the speaker says that something is done, or will not be",
    (
        _KEY,
        _USER,
        Column("completion_id", "integer", "counts within the note"),
        Column("text", "text", "the whole sentence"),
        Column("outcome", "text", "done or dropped"),
        Column("done_date", "day", "when it was done or dropped, by what was said"),
        Column("segment_id", "integer", "the segment it was said in"),
        Column("start_s", "number", "seconds from the start of the recording"),
        Column("end_s", "number", "seconds from the start of the recording"),
        Column("quote", "text", "word for word from that segment"),
        Column("verbs", "texts", "stems of what it may settle"),
        Column("object", "texts", "stems of what was done, the thing itself last"),
        Column("about", "texts", "stems of what was said beside it"),
    ),
    order="completion_id",
)
CORRECTIONS = Table(
    "corrections",
    "correction",
    "something that its owner has put right, now; what was reverted is gone",
    (
        _KEY,
        _USER,
        Column("correction_id", "text", "12 hex of the place that is corrected"),
        Column("target", "text", "segment, item, removed_item, title or note_date"),
        Column("item_kind", "text", "of an item: as in note_items"),
        Column("start_s", "number", "of a segment or of an item's evidence: seconds from the start of the recording"),
        Column("end_s", "number", "of a segment or of an item's evidence: seconds from the start of the recording"),
        Column("machine_text", "text", "what the machine had there when it was corrected"),
        Column("text", "text", "as it should be"),
        Column("made_at", "instant", "when it was corrected, UTC"),
        Column("made_by", "text", "who corrected it, as they said"),
        Column(
            "placed",
            "yes_no",
            "whether it is in what is shown; false: what it corrected is no longer there",
            logged=False,
        ),
        Column("segment_id", "integer", "the segment that it corrects now", logged=False),
        Column("item_id", "integer", "the item that it corrects now", logged=False),
    ),
    order="correction_id",
)
CORRECTED_NOTES = Table(
    "corrected_notes",
    "correction",
    "a note as people read it with these corrections; one for each recording that ever was corrected",
    (
        _KEY,
        _USER,
        Column("version", "text", "of the corrections"),
        Column("note_version", "text", "the version of the note that was rendered; NULL: there was none"),
        Column("markdown", "text", "the corrected note as people read it"),
    ),
    shown=None,
)
LLM_CALLS = Table(
    "llm_calls",
    "outcome",  # so that the attempts behind a note that failed, or that another replaced, are told too
    "an attempt to have a note written, without text; every one there was when the recording last ended",
    (
        _KEY,
        _USER,
        Column("at", "instant", "when it was sent, UTC"),
        Column("route", "text", "the configured route"),
        Column("model", "text", "as the provider calls it"),
        Column("outcome", "text", "accepted, cached (answered from what was kept, nothing was sent), or why not"),
        Column("seconds", "number", "until the answer was there"),
        Column("input_tokens", "seq", "tokens sent"),
        Column("cached_tokens", "seq", "of those, billed as cached"),
        Column("output_tokens", "seq", "tokens received"),
        Column("cost_usd", "number", "US dollars; NULL: the route has no price, so nobody knows"),
    ),
    order='"at"',
)
_CHECK = (
    _KEY,
    _USER,
    Column("check_name", "text", "a claim that can be false"),
    Column("passed", "yes_no", "whether it holds"),
    Column("severity", "text", "ERROR or WARN"),
    Column("detail", "text", "numbers and codes"),
    Column("stage", "text", "transcript or note"),
)
TRANSCRIPT_CHECKS = Table("checks", "transcript", "a single check of what is published", _CHECK)
NOTE_CHECKS = Table("checks", "note", "a single check of what is published", _CHECK)

TABLES = (
    RECORDINGS, SEGMENTS, TRANSCRIPTS, NOTES, NOTE_ITEMS, COMPLETIONS, TRANSCRIPT_CHECKS, NOTE_CHECKS, LLM_CALLS,
    CORRECTIONS, CORRECTED_NOTES,
)  # fmt: skip
"""`checks` stands twice, because its rows follow two kinds of pointers; they are told apart by `stage`."""

RECORDING_COSTS = """CREATE VIEW recording_costs AS
SELECT *, CASE WHEN unpriced_attempts = 0 THEN cost_usd * 3600 / nullif(duration_s, 0) END AS usd_per_audio_hour
FROM (
  SELECT r.recording_key, r.user_id, r.recorded_day, r.duration_s,
    count(c.route) AS attempts,
    count(c.route) FILTER (WHERE c.cost_usd IS NULL) AS unpriced_attempts,
    coalesce(sum(c.cost_usd), 0) AS cost_usd
  FROM recordings r LEFT JOIN llm_calls c ON c.recording_key = r.recording_key
  WHERE r.recording_key IS NOT NULL GROUP BY ALL
)"""
"""What language models cost, by recording: US dollars of the attempts whose price is known, and of an hour of its audio
where all are known."""

STATE = (
    Column("watermark", "seq", "the last commit that is in the file"),
    Column("published_at", "instant", "when the file was built, UTC, by the ledger's clock"),
    Column("schema_version", "integer", "of this schema"),
    Column("committed_at", "instant", "when the last commit that is in the file was made, UTC, by the ledger's clock"),
    Column("freshness_s", "number", "seconds from that commit to published_at; NULL: nothing was new"),
    Column("oldest_freshness_s", "number", "seconds that the commit which waited longest for this file has waited"),
    Column("recordings", "integer", "recordings and refusals that this file shows otherwise than the one before it"),
    Column("seconds", "number", "seconds it took to build the file"),
    Column("marts_watermark", "seq", "the commit up to which dbt had read when it built marts.*; NULL: no marts here"),
    Column("marts_stamp", "text", "which build of dbt's file was looked at last"),
)
"""The one row of `catalogue_state`, which tells of the file itself. After `published_at` come one write to the disk and
a rename; the log event `published` has the whole time."""

STATE_DDL = f"CREATE TABLE catalogue_state({', '.join(f'{c.name} {DUCKDB[c.type]}' for c in STATE)})"
