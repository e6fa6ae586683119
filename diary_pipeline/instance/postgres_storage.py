"""Dagster's PostgreSQL storage: pooled connections, and the asset events of a batch in one transaction.

The stock one opens a connection for each group of statements and asks for a table before it uses it: 20-40 ms for what
takes 0.2 here. What is written stands in batched_events.py. Needs the extra `postgres`; only a dagster.yaml that names
this file loads it.

The surprise: everything lies in a schema of its own, `dagster`, because the ledger may live in the same database and
both have a table `jobs`.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import sqlalchemy as sa
from dagster._core.events.log import EventLogEntry
from dagster._serdes import ConfigurableClassData
from dagster_postgres.event_log import PostgresEventLogStorage
from dagster_postgres.storage import DagsterPostgresStorage
from dagster_postgres.utils import (
    create_pg_engine,
    get_token_provider_from_config,
    pg_url_from_config,
    retry_pg_connection_fn,
)

from diary_pipeline.instance.batched_events import BatchedEvents, batch_what_dagster_plans

SCHEMA = "dagster"
POOL: dict[str, Any] = {
    "poolclass": sa.QueuePool,
    "pool_size": 1,  # kept open by each process, of which there may be dozens on a server that allows 100
    "max_overflow": 16,
    "pool_recycle": 900,
    "pool_pre_ping": True,  # a server that was restarted meanwhile is no error, as it was none without a pool
}
_LOCK = sa.text("SELECT pg_advisory_xact_lock(hashtext('diary_pipeline'), hashtext(:name))")


class BatchingPostgresEventLogStorage(BatchedEvents, PostgresEventLogStorage):  # type: ignore[misc]
    """Stores any mix of asset and check events of a batch in one transaction."""

    def __init__(self, postgres_url: str, token_provider: Any = None) -> None:
        """Take a schema that is there already."""
        PostgresEventLogStorage.__init__(self, postgres_url, False, token_provider=token_provider)
        self._tables: set[str] = set()

    def has_table(self, table_name: str) -> bool:
        """Ask once for each table: none ever goes."""
        if table_name not in self._tables and PostgresEventLogStorage.has_table(self, table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store `events` in their order; anything but asset and check events takes the stock way."""
        if not events:
            return
        if not self._takes(events):
            super().store_event_batch(events)
            return
        with self.index_transaction() as conn:
            # One batch after the other: Dagster remembers how partitions stand up to the highest id it has seen, and
            # would never look at a lower one that is committed later. One at a time writes 5,000 events a second.
            conn.execute(_LOCK, {"name": "dagster events"})
            self._write_index(conn, events)


class BatchingPostgresStorage(DagsterPostgresStorage):  # type: ignore[misc]
    """`storage.custom` of dagster.postgres.yaml: run, event and schedule storage over one pool of connections."""

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool = True,
        inst_data: ConfigurableClassData | None = None,
        token_provider: Any = None,
    ) -> None:
        url = _in_own_schema(postgres_url)
        engine = create_pg_engine(url, token_provider, isolation_level="AUTOCOMMIT", **POOL)
        if should_autocreate_tables:
            with _alone(engine):
                super().__init__(url, should_autocreate_tables, inst_data, token_provider)
        else:
            super().__init__(url, should_autocreate_tables, inst_data, token_provider)
        self._event_log_storage = BatchingPostgresEventLogStorage(url, token_provider)
        for storage in (self._run_storage, self._event_log_storage, self._schedule_storage):
            storage._engine = engine
        batch_what_dagster_plans()

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        """Build from the `config` mapping of dagster.yaml: the stock one's keys."""
        return cls(
            pg_url_from_config(config_value),
            config_value.get("should_autocreate_tables", True),
            inst_data,
            get_token_provider_from_config(config_value),
        )


def _in_own_schema(said: str) -> str:
    """Name the driver, and the schema unless the URL does."""
    url = sa.make_url(said)
    # SQLAlchemy 2.1 takes `postgresql://` for psycopg 3, which dagster-postgres does not bring.
    url = url.set(drivername="postgresql+psycopg2") if url.drivername in ("postgresql", "postgres") else url
    options = str(url.query.get("options", ""))
    if "search_path" not in options:
        url = url.update_query_dict({"options": f"{options} -csearch_path={SCHEMA}".strip()})
    return url.render_as_string(hide_password=False)


@contextmanager
def _alone(engine: sa.Engine) -> Iterator[None]:
    """Let one process at a time make or look over the schema: see the same in event_storage.py."""
    named = re.search(r"search_path=(\w+)", str(engine.url.query.get("options", "")))
    schema = named[1] if named else SCHEMA
    with (
        retry_pg_connection_fn(engine.connect).execution_options(isolation_level="READ COMMITTED") as guard,
        guard.begin(),
    ):
        guard.execute(_LOCK, {"name": f"schema {schema}"})
        with engine.connect() as conn:
            there = conn.execute(sa.text("SELECT 1 FROM pg_namespace WHERE nspname = :schema"), {"schema": schema})
            if there.first() is None:  # asked first: IF NOT EXISTS wants the right to create even where it exists
                conn.execute(sa.schema.CreateSchema(schema))
        yield
