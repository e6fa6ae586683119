"""How a database means to run the statements of a verb: tests ask it whether anything is walked from end to end.

The surprise: PostgreSQL scans a small table whatever indices it has, so it is told that scanning costs a fortune; a
plan that scans after all has no index to use.
"""

from collections.abc import Callable

import sqlalchemy as sa

from diary_pipeline.ledger.connect import Ledger


def plans(ledger: Ledger, ask: Callable[[sa.Connection], object]) -> list[str]:
    """Return the plan of each SELECT and UPDATE that `ask` sends, in order."""
    said: list[tuple[str, object]] = []

    def note(_conn: object, _cursor: object, statement: str, parameters: object, *_rest: object) -> None:
        if statement.lstrip().startswith(("SELECT", "UPDATE", "WITH")):
            said.append((statement, parameters))

    with ledger.writing() as conn:
        sa.event.listen(ledger.engine, "before_cursor_execute", note)
        try:
            ask(conn)
        finally:
            sa.event.remove(ledger.engine, "before_cursor_execute", note)
        return [_plan(conn, statement, parameters) for statement, parameters in said]


def walks(plan: str) -> bool:
    """Tell whether a plan reads some table from end to end."""
    return "Seq Scan" in plan or "SCAN " in plan.replace("SCAN CONSTANT ROW", "")


def _plan(conn: sa.Connection, statement: str, parameters: object) -> str:
    if conn.dialect.name == "sqlite":
        rows = conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return "\n".join(row.detail for row in rows)
    conn.exec_driver_sql("SET LOCAL enable_seqscan = off")
    conn.exec_driver_sql("SET LOCAL enable_bitmapscan = off")
    return "\n".join(conn.exec_driver_sql(f"EXPLAIN {statement}", parameters).scalars())
