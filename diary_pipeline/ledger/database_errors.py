"""What an error of the ledger's database means: begin anew, come back later, or a value that it cannot keep.

What surprises: of one that passes by itself (`ledger_away`) nobody knows whether it came before the commit or after it.
Only a PermanentError or one of UNHOLDABLE proves that nothing was written, so only these may take bytes away or have
the same written once more.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import sqlalchemy as sa

from diary_pipeline.core.errors import ServiceMissing
from diary_pipeline.observability.logs import log

UNHOLDABLE = (sa.exc.DataError, UnicodeError)
"""What a database raises for text that it cannot keep, such as half of an emoji."""
_REPEATABLE = frozenset({"40001", "40P01"})  # serialization_failure, deadlock_detected
_SQLITE_PASSES = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,  # of a disk that was mounted anew after an error
    }
)
# Connection lost, too many of them or no room, server stopped or starting; a lock that did not come, a standby.
_POSTGRES_PASSES = ("08", "53", "57P", "55P03", "25006")

logger = log(__name__)


@contextmanager
def told_when_away() -> Iterator[None]:
    """Raise what passes by itself as ours; a broken rule or a missing table stays the database's own error."""
    try:
        yield
    except sa.exc.SQLAlchemyError as error:
        if not _is_away(error):
            raise
        logger.warning("ledger_away", reason=reason(error))  # not in the message, which clients read: it names hosts
        raise ServiceMissing("ledger_away", "The ledger's database does not answer; try again soon.") from error


def may_repeat(error: sa.exc.DBAPIError) -> bool:
    """Tell whether the database made a transaction give way to another: nothing of it stays, so it can begin anew."""
    return getattr(error.orig, "pgcode", None) in _REPEATABLE


def _is_away(error: Exception) -> bool:
    if isinstance(error, sa.exc.TimeoutError | sa.exc.InterfaceError):  # no pooled connection came free, or one is lost
        return True
    if not isinstance(error, sa.exc.OperationalError):
        return False
    if isinstance(error.orig, sqlite3.Error):
        return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in _SQLITE_PASSES
    code = getattr(error.orig, "pgcode", None)  # None: no server said it, the connection is gone
    return error.connection_invalidated or code is None or may_repeat(error) or code.startswith(_POSTGRES_PASSES)


def reason(error: BaseException) -> str:
    """Return the first line of what a database said."""
    said: Sequence[str] = str(error.orig if isinstance(error, sa.exc.DBAPIError) else error).strip().splitlines()
    return said[0] if said else type(error).__name__
