"""The ledger's tables of the job API and of what it sends: what a submission carries beyond itself. See tables.py.

A job *is* a submission: one id, one status. What stands here is what only some submissions have.
"""

import sqlalchemy as sa

from diary_pipeline.ledger.tables import batches, metadata, only, submissions, submissions_listed

jobs = sa.Table(  # what an application said of its submission, beside what intake needs
    "jobs",
    metadata,
    sa.Column("submission_id", sa.Text, primary_key=True),
    sa.Column("said", sa.JSON, nullable=False),  # `metadata` of the request: any JSON, given back as it came
    sa.Column("callback_url", sa.Text),
)

idempotency_keys = sa.Table(  # a request that is sent again is answered again
    "idempotency_keys",
    metadata,
    sa.Column("owner", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("request_sha256", sa.Text, nullable=False),
    sa.Column("submission_id", sa.Text, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
)
sa.Index("idempotency_keys_created", idempotency_keys.c.created_at)
sa.Index("idempotency_keys_submission", idempotency_keys.c.submission_id)

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),  # the readable half of the key
    sa.Column("secret_sha256", sa.Text, nullable=False),
    sa.Column("owner", sa.Text),  # whose jobs it may touch; NULL: everybody's
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("scopes", sa.JSON, nullable=False),  # submit | read | admin
    sa.Column("tier", sa.Text),  # of rate limits; NULL: the usual ones
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("expires_at", sa.Float),
    sa.Column("revoked_at", sa.Float),
    sa.Column("last_used_at", sa.Float),  # to the hour
)

outbox = sa.Table(  # calls that somebody asked for; one sender works them off
    "outbox",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("submission_id", sa.Text),  # NULL: an event of the deployment, such as a run that failed
    sa.Column("event", sa.Text, nullable=False),  # job.completed | job.degraded | job.failed | job.upgraded | ...
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("host", sa.Text, nullable=False),  # of the URL: one slow receiver does not hold up the others
    sa.Column("body", sa.JSON, nullable=False),  # ids, statuses and codes, never diary text
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("next_at", sa.Float, nullable=False),  # not to be tried before; a sender at work pushes it ahead
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("delivered_at", sa.Float),
    sa.Column("given_up_at", sa.Float),
    sa.Column("last_answer", sa.Text),  # HTTP status or kind of error of the last attempt
    sqlite_autoincrement=True,  # `id` is the order of a job's events, which a number used twice would turn round
)
UNSENT = sa.text("delivered_at IS NULL AND given_up_at IS NULL")
sa.Index("outbox_unsent", outbox.c.host, outbox.c.next_at, **only(UNSENT))
sa.Index("outbox_submission", outbox.c.submission_id, outbox.c.id)

failures = sa.Table(  # each time something failed, also what was tried again and is well today
    "failures",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("subject", sa.Text, nullable=False),  # recording key; id of a submission that became none
    sa.Column("stage", sa.Text, nullable=False),  # intake | transcript | note
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("again_at", sa.Float),  # it is tried again by itself; NULL: it is not
)
sa.Index("failures_subject", failures.c.subject, failures.c.id)

dropped_troubles = sa.Table(  # out of the quarantine's view, unless it failed again since
    "dropped_troubles",
    metadata,
    sa.Column("subject", sa.Text, primary_key=True),  # as in failures
    sa.Column("dropped_at", sa.Float, nullable=False),
    sa.Column("dropped_by", sa.Text, nullable=False),  # a person, a key, or the submission that tries it again
)

source_cursors = sa.Table(  # how far a source that is looked through bit by bit has been looked through
    "source_cursors",
    metadata,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("cursor", sa.Text, nullable=False),
    sa.Column("moved_at", sa.Float, nullable=False),
)

endings = sa.Table(  # running sums over submissions and recordings that ended
    "endings",
    metadata,
    sa.Column("status", sa.Text, primary_key=True),
    sa.Column("reason_code", sa.Text, primary_key=True),  # empty: none
    sa.Column("n", sa.BigInteger, nullable=False),
)


def _word(said: str) -> sa.ColumnElement[str]:
    return sa.literal_column(f"'{said}'")  # a parameter would hide from the databases that the index has the same


_s = submissions.c
# A function around it, because PostgreSQL wants other expressions of an index in brackets, and SQLAlchemy sets none.
shown_status: sa.ColumnElement[str] = sa.func.coalesce(
    sa.case(
        (_s.status == _word("refused"), _word("failed")),
        (
            (_s.status == _word("pending")) & _s.recording_key.is_(None) & _s.fetching_since.is_not(None),
            _word("downloading"),
        ),
        else_=_s.status,
    ),
    _word(""),
)
"""The status that an application sees of a submission; the pages of one status are found by it, so it is in indices."""
BATCH_ENDED = sa.text("state = 'closed'")
JOB_INDICES = (
    submissions_listed,
    sa.Index("submissions_shown", _s.owner, shown_status, _s.created_at, _s.id),
    sa.Index("submissions_listed_all", _s.created_at, _s.id),
    sa.Index("submissions_shown_all", shown_status, _s.created_at, _s.id),
    sa.Index("batches_run", batches.c.run_id),  # which batch a failed run had
    # backlog.py asks how fast the last ones were
    sa.Index("batches_closed", batches.c.stage, batches.c.closed_at, **only(BATCH_ENDED)),
)
JOB_TABLES = (dropped_troubles, endings, failures, jobs, idempotency_keys, api_keys, outbox, source_cursors)
