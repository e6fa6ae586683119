"""The ledger's tables. Statements about them live beside them, one file a noun; migrations.py updates an old ledger.

Every `*_at` column is seconds since the epoch, UTC, by the *database's* clock: leases mean the same on every machine.
No column holds diary text: PostgreSQL pages, WAL and dumps stay clean.
"""

from typing import Any

import sqlalchemy as sa

metadata = sa.MetaData()

NOT_WHOLE = 4_102_444_800.0
"""As `not_before`, or anything later (the year 2100): an upload whose last byte is not here yet."""
NEAR, FAR, HALF = 0, 1, 2
NEAR_SCHEMES = ("file:", "upload:")
_IS_NEAR = " OR ".join(f"substr(uri, 1, {len(scheme)}) = '{scheme}'" for scheme in NEAR_SCHEMES)
LANES = f"CASE WHEN not_before >= {NOT_WHOLE} THEN {HALF} WHEN {_IS_NEAR} THEN {NEAR} ELSE {FAR} END"


def only(condition: sa.TextClause) -> dict[str, Any]:
    """Say of an index what it holds, as each of the databases is told."""
    return {"sqlite_where": condition, "postgresql_where": condition}


submissions = sa.Table(
    "submissions",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),  # cli | folder | graphql | api | queue | ...
    sa.Column("uri", sa.Text, nullable=False),
    sa.Column("file_name", sa.Text, nullable=False),
    sa.Column("options", sa.JSON, nullable=False),  # what intake/options.py names
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("status", sa.Text, nullable=False),  # core.batch.Status
    sa.Column("recording_key", sa.Text),
    sa.Column("duplicate", sa.Boolean, nullable=False, default=False),
    sa.Column("reason_code", sa.Text),
    sa.Column("message", sa.Text),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("ended_at", sa.Float),
    sa.Column("commit_seq", sa.BigInteger),  # the commit that ended it; published when the watermark reaches it
    sa.Column("transcript_version", sa.Text),  # what it got when it ended, whatever is made of its recording since;
    sa.Column("note_version", sa.Text),  # NULL: nothing
    # Fetching: not to be looked at before (a worker at it, a pause after a failure, an upload that is not whole yet).
    sa.Column("not_before", sa.Float, nullable=False, default=0.0, server_default="0"),
    sa.Column("attempts", sa.Integer, nullable=False, default=0, server_default="0"),  # to fetch it
    sa.Column("fetching_since", sa.Float),  # its bytes are on the way here: shown as `downloading`
    sa.Column("received_bytes", sa.BigInteger),  # so far, of
    sa.Column("expected_bytes", sa.BigInteger),
    # NEAR: here, a file or an upload; FAR: to be fetched; HALF: not whole. Slow addresses and half uploads must not lie
    # between a worker and the files behind them.
    sa.Column("lane", sa.Integer, sa.Computed(LANES)),
    sa.Column("turn_at", sa.Float, nullable=False, default=0.0, server_default="0"),  # in its line; see turns.py
)
sa.Index("submissions_status", submissions.c.status)
submissions_listed = sa.Index("submissions_listed", submissions.c.owner, submissions.c.created_at, submissions.c.id)
sa.Index("submissions_recording", submissions.c.recording_key)
# Partial, so that what ended long ago is never walked; a query uses it when it repeats the condition word for word.
# `status` does not lead: PostgreSQL takes what the condition says for known, and walks past all that stands before.
WAITING = sa.text("status = 'pending' AND recording_key IS NULL")
REFUSED_UNCOMMITTED = sa.text("status = 'refused' AND commit_seq IS NULL")
submissions_waiting = sa.Index(
    "submissions_waiting",
    submissions.c.lane,
    submissions.c.priority,
    submissions.c.turn_at,
    submissions.c.created_at,
    submissions.c.not_before,  # what pauses is passed over without a look at its row
    **only(WAITING),
)
submissions_turn = sa.Index(
    "submissions_turn",
    submissions.c.owner,
    submissions.c.lane,
    submissions.c.priority,
    submissions.c.turn_at,
    **only(WAITING),
)
sa.Index("submissions_refused", submissions.c.status, submissions.c.created_at, **only(REFUSED_UNCOMMITTED))

seen_files = sa.Table(  # a file that did not change is not hashed again
    "seen_files",
    metadata,
    sa.Column("owner", sa.Text, primary_key=True),
    sa.Column("path", sa.Text, primary_key=True),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("mtime_ns", sa.BigInteger, nullable=False),
    sa.Column("submission_id", sa.Text, nullable=False),
)

recordings = sa.Table(
    "recordings",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("key", sa.Text, nullable=False, unique=True),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("content_sha256", sa.Text, nullable=False),
    sa.Column("submission_id", sa.Text, nullable=False),
    sa.Column("file_name", sa.Text, nullable=False),
    sa.Column("object_key", sa.Text, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("container", sa.Text, nullable=False),
    sa.Column("declared_s", sa.Float),
    sa.Column("recorded_at", sa.Float, nullable=False),
    sa.Column("recorded_day", sa.Text, nullable=False),  # ISO date, local to recorded_zone
    sa.Column("recorded_zone", sa.Text, nullable=False),
    sa.Column("recorded_at_source", sa.Text, nullable=False),
    sa.Column("recorded_at_confidence", sa.Float, nullable=False),
    sa.Column("recorded_at_note", sa.Text, nullable=False, default=""),
    sa.Column("title", sa.Text),
    sa.Column("tags", sa.JSON, nullable=False),
    sa.Column("whisper_model", sa.Text, nullable=False),  # wanted now; what was used stands in the catalogue
    sa.Column("language", sa.Text),  # forced, or NULL: detect
    sa.Column("vocabulary", sa.JSON, nullable=False, server_default="[]"),  # hints beside the owner's
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("failed_stage", sa.Text),
    sa.Column("reason_code", sa.Text),
    sa.Column("message", sa.Text),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("ended_at", sa.Float),
    sa.Column("audio_removed_at", sa.Float),  # our copy is gone, as its owner wants; 0: about to go
    sa.UniqueConstraint("owner", "content_sha256", name="recordings_content"),
)
WITH_AUDIO = sa.text("audio_removed_at IS NULL")
recordings_with_audio = sa.Index("recordings_with_audio", recordings.c.owner, recordings.c.ended_at, **only(WITH_AUDIO))
recordings_created = sa.Index("recordings_created", recordings.c.owner, recordings.c.created_at)
sa.Index("recordings_status", recordings.c.status, recordings.c.id)

work = sa.Table(  # one row for each (recording, stage): what is to do, and the one lease on doing it
    "work",
    metadata,
    sa.Column("recording_key", sa.Text, primary_key=True),
    sa.Column("stage", sa.Text, primary_key=True),  # transcript | note
    sa.Column("state", sa.Text, nullable=False),  # ready | planned | done | failed | retry (see retries.py)
    sa.Column("model", sa.Text, nullable=False),  # what the planner groups by; '' for notes
    # Its result is still waited for. Set when it is asked for, cleared by the commit of that or of its failure;
    # somebody who does finished work again by hand leaves it as it is.
    sa.Column("wanted", sa.Boolean, nullable=False, default=False),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("audio_s", sa.Float, nullable=False),
    sa.Column("ready_at", sa.Float, nullable=False),
    sa.Column("owner", sa.Text),  # whose turn; NULL for notes, which come in the order of their transcripts
    sa.Column("turn_at", sa.Float, nullable=False, default=0.0, server_default="0"),  # see recordings.py
    sa.Column("batch_id", sa.Text),  # the one batch that carries it now
    sa.Column("epoch", sa.BigInteger, nullable=False, default=0),
    sa.Column("holder", sa.Text),  # Dagster run id, or any name a worker gives itself
    sa.Column("expires_at", sa.Float),  # NULL: nobody holds it
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("retries", sa.Integer, nullable=False, default=0, server_default="0"),  # after failures, by themselves
    sa.Column("done_s", sa.Float),  # seconds of audio that whoever holds it has come through
    sa.Column("reason_code", sa.Text),
    sa.Column("message", sa.Text),
)
sa.Index("work_ready", work.c.stage, work.c.state, work.c.priority, work.c.turn_at, work.c.ready_at)
sa.Index("work_turn", work.c.stage, work.c.state, work.c.owner, work.c.turn_at)
sa.Index("work_attempts", work.c.stage, work.c.state, work.c.attempts)
sa.Index("work_batch", work.c.batch_id)
sa.Index("work_holder", work.c.holder)

batches = sa.Table(
    "batches",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),  # planned | requested | claimed | closed
    sa.Column("attempt", sa.Integer, nullable=False),  # 1 for the first run that carries it
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("recordings", sa.Integer, nullable=False),
    sa.Column("audio_s", sa.Float, nullable=False),
    sa.Column("run_id", sa.Text),  # of the run that claimed the current attempt
    sa.Column("planned_at", sa.Float, nullable=False),
    sa.Column("requested_at", sa.Float),
    sa.Column("claimed_at", sa.Float),
    sa.Column("closed_at", sa.Float),
    sa.Column("reported_at", sa.Float),  # its Dagster events are written, or there is nothing to tell
)
sa.Index("batches_state", batches.c.state, batches.c.stage, batches.c.planned_at)
UNREPORTED = sa.text("state = 'closed' AND reported_at IS NULL")
sa.Index("batches_unreported", batches.c.stage, batches.c.closed_at, **only(UNREPORTED))

batch_items = sa.Table(
    "batch_items",
    metadata,
    sa.Column("batch_id", sa.Text, primary_key=True),
    sa.Column("recording_key", sa.Text, primary_key=True),
    sa.Column("outcome", sa.Text),  # committed | failed | released; NULL: open
)
batch_items_recording = sa.Index("batch_items_recording", batch_items.c.recording_key)  # erasure asks so

holders = sa.Table(  # who is alive; a run whose row has expired is dead whatever Dagster believes
    "holders",
    metadata,
    sa.Column("holder", sa.Text, primary_key=True),
    sa.Column("expires_at", sa.Float, nullable=False),
)

sa.Index("holders_expiry", holders.c.expires_at)

clock = sa.Table(  # one row; locked by each commit, so that seq has no gaps and follows commit order
    "clock",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("n", sa.BigInteger, nullable=False),
)

commits = sa.Table(
    "commits",
    metadata,
    sa.Column("object_id", sa.Text, primary_key=True),  # folder of Parquet files in the object store
    sa.Column("kind", sa.Text, nullable=False),  # transcript | note | outcome | correction
    sa.Column("seq", sa.BigInteger, nullable=False, unique=True),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("committed_at", sa.Float, nullable=False),
)

pointers = sa.Table(  # what is current: (subject, kind) -> object; NULL object: erased
    "pointers",
    metadata,
    sa.Column("subject", sa.Text, primary_key=True),  # recording key; for a refusal the submission id
    sa.Column("kind", sa.Text, primary_key=True),  # transcript | note | outcome | correction
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("version", sa.Text),
    sa.Column("object_id", sa.Text),
    sa.Column("seq", sa.BigInteger, nullable=False),
    # Prompt or rules of a note. NULL: no note (nothing was said too), or one from before this was written down.
    sa.Column("made_with", sa.Text),
    sa.Column("again_at", sa.Float),  # of a note: when it may be made again, if it should; 0: at once
)
sa.Index("pointers_seq", pointers.c.seq)
MADE = sa.text("made_with IS NOT NULL")
pointers_made_with = sa.Index(
    "pointers_made_with", pointers.c.owner, pointers.c.made_with, pointers.c.again_at, **only(MADE)
)
sa.Index("pointers_object", pointers.c.object_id)

history = sa.Table(  # every object that ever held rows of a subject: what erasure rewrites, a rollback points back to
    "history",
    metadata,
    sa.Column("subject", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True),
    sa.Column("version", sa.Text),
    sa.Column("object_id", sa.Text, nullable=False),
    sa.Column("made_with", sa.Text),  # of a note, for whoever goes forward to it again; see pointers
)
sa.Index("history_object", history.c.object_id)

replaced_objects = sa.Table(  # nothing points to them any more; the row goes when their bytes are gone
    "replaced_objects",
    metadata,
    sa.Column("object_id", sa.Text, primary_key=True),
    sa.Column("replaced_at", sa.Float, nullable=False),
)

publications = sa.Table(  # how far the files that users open have come; see publications.py
    "publications",
    metadata,
    sa.Column("place", sa.Text, primary_key=True),
    sa.Column("watermark", sa.BigInteger, nullable=False),
    sa.Column("published_at", sa.Float, nullable=False),
    sa.Column("marts", sa.Text, nullable=False, default="", server_default=""),
    sa.Column("watched_until", sa.Float, nullable=False, default=0.0, server_default="0"),
    sa.Column("compacted_seq", sa.BigInteger, nullable=False, default=0, server_default="0"),
)

llm_calls = sa.Table(  # an attempt to have a note written; what users see of it stands in the catalogue
    "llm_calls",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("recording_key", sa.Text, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("route", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),  # core.llm_call: accepted, cached or a failure
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("input_tokens", sa.BigInteger, nullable=False),
    sa.Column("cached_tokens", sa.BigInteger, nullable=False),
    sa.Column("output_tokens", sa.BigInteger, nullable=False),
    sa.Column("cost_usd", sa.Float),  # NULL: the route has no price
    sa.Column("status", sa.Integer),  # of HTTP
    sa.Column("request_id", sa.Text),
    sa.Column("answer_key", sa.Text, nullable=False),  # hash of the question
)
sa.Index("llm_calls_recording", llm_calls.c.recording_key, llm_calls.c.id)

llm_routes = sa.Table(  # who is to be left alone for a while
    "llm_routes",
    metadata,
    sa.Column("route", sa.Text, primary_key=True),
    sa.Column("cool_until", sa.Float, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),  # transient ones in a row
)

llm_route_days = sa.Table(  # running sums over llm_calls: thirty rows tell of a month, however many calls it had
    "llm_route_days",
    metadata,
    sa.Column("route", sa.Text, primary_key=True),
    sa.Column("day", sa.Text, primary_key=True),  # ISO date, UTC
    sa.Column("tried", sa.BigInteger, nullable=False),
    sa.Column("accepted", sa.BigInteger, nullable=False),
    sa.Column("answered", sa.BigInteger, nullable=False),
    sa.Column("answer_seconds", sa.Float, nullable=False),  # of the answered ones together
)

llm_spent = sa.Table(  # running sums of money, what is set aside included; see spend.py
    "llm_spent",
    metadata,
    sa.Column("subject", sa.Text, primary_key=True),  # day/<ISO date, UTC> | owner/<date>/<owner> | run/<run>
    sa.Column("usd", sa.Float, nullable=False),
)

llm_holds = sa.Table(  # money set aside for a call that nobody has settled yet
    "llm_holds",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("day", sa.Text, nullable=False),
    sa.Column("run", sa.Text, nullable=False),
    sa.Column("usd", sa.Float, nullable=False),
    sa.Column("expires_at", sa.Float, nullable=False),  # from then on it is spent, whatever was set aside for it
)
sa.Index("llm_holds_expiry", llm_holds.c.expires_at)

erasures = sa.Table(  # what somebody wanted gone; nothing in it names them once it is finished
    "erasures",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("scope", sa.Text, nullable=False),  # recording | user
    sa.Column("target_hash", sa.Text, nullable=False),  # core.seal of the key, submission id or owner
    sa.Column("hidden_at", sa.Float, nullable=False),
    sa.Column("hidden_seq", sa.BigInteger, nullable=False),  # the tick that moved its pointers; 0: it had none
    sa.Column("waits_for", sa.JSON, nullable=False),  # holders at work on it when it was hidden
    sa.Column("found", sa.JSON, nullable=False),  # store -> what -> how many, counted before it was removed
    sa.Column("removed_at", sa.Float),  # the bytes are gone; NULL: to be finished
    sa.Column("receipt", sa.JSON, nullable=False),  # from the first: what stands for each subject; signed at the end
)
sa.Index("erasures_target", erasures.c.target_hash)
UNFINISHED = sa.text("removed_at IS NULL")
sa.Index("erasures_unfinished", erasures.c.hidden_at, **only(UNFINISHED))
sa.Index("erasures_hidden_seq", erasures.c.hidden_seq)

erasure_subjects = sa.Table(  # how an unfinished erasure finds the bytes; empty when all are finished
    "erasure_subjects",
    metadata,
    sa.Column("erasure_id", sa.Text, primary_key=True),
    sa.Column("subject", sa.Text, primary_key=True),  # as in pointers; '' stands for the owner alone
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("content_sha256", sa.Text),  # NULL: no recording
    sa.Column("object_key", sa.Text),
    sa.Column("names", sa.JSON, nullable=False),  # file names and URIs it was handed in under
)
sa.Index("erasure_subjects_subject", erasure_subjects.c.subject)

tombstones = sa.Table(  # content that an owner had erased: intake refuses it
    "tombstones",
    metadata,
    sa.Column("hash", sa.Text, primary_key=True),  # core.seal of owner and content_sha256
    sa.Column("seal_id", sa.Text, nullable=False),
    sa.Column("erasure_id", sa.Text, nullable=False),
)
sa.Index("tombstones_seal", tombstones.c.seal_id)

ERASURE_TABLES = (erasures, erasure_subjects, tombstones)

LLM_TABLES = (llm_calls, llm_routes, llm_route_days, llm_spent, llm_holds)

identity = sa.Table(  # one row: which ledger this is, so that a store can tell its own from another's
    "identity",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("ledger_id", sa.Text, nullable=False),
    sa.Column("made_at", sa.Float, nullable=False),
    sa.Column("restored_at", sa.Float),  # from a backup: it knows nothing of what was written between that and this
)

schema_version = sa.Table("schema_version", metadata, sa.Column("version", sa.Integer, primary_key=True))
