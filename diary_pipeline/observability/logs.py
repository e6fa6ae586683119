"""Logs: events with fields, on standard error.

An event is a short fixed word (`transcribed`), everything that varies is a field. The standard library's `logging`
lies underneath, so other handlers (Dagster's, pytest's) receive the same records. The level is chosen by `settings`.

What surprises: the message of a foreign exception is left out, because libraries quote their input in it (a JSON or a
validation error would quote the diary). Its type and the lines it came from are kept, wherever it is given as `error`.
"""

import datetime as dt
import json
import logging
import math
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path

from diary_pipeline.core.errors import DiaryError

_Plain = str | int | float | bool | None
ROOT = "diary_pipeline"
RESERVED = frozenset({"at", "level", "logger", "event"})
FRAMES_KEPT = 3


class Logger:
    """A named logger with bound fields; `bind` gives a new one, so nobody's fields leak into anybody else's."""

    __slots__ = ("_fields", "_logger")

    def __init__(self, logger: logging.Logger, fields: Mapping[str, object] | None = None) -> None:
        self._logger = logger
        self._fields = dict(fields or {})

    def bind(self, **fields: object) -> "Logger":
        """Return a logger that adds these fields to every event."""
        return Logger(self._logger, {**self._fields, **fields})

    def debug(self, event: str, /, **fields: object) -> None:
        """Log what only somebody hunting a defect wants."""
        self._write(logging.DEBUG, event, fields)

    def info(self, event: str, /, **fields: object) -> None:
        """Log what happened as planned."""
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, /, **fields: object) -> None:
        """Log what went on in a lesser way."""
        self._write(logging.WARNING, event, fields)

    def error(self, event: str, /, **fields: object) -> None:
        """Log what did not work."""
        self._write(logging.ERROR, event, fields)

    def exception(self, event: str, error: BaseException | None = None, /, **fields: object) -> None:
        """Log what did not work, with the type and place of an exception (and its message if ours).

        The exception is the one being handled, unless another is given, as of a thread or of something that ended.
        """
        error = error or sys.exception()
        self._write(logging.ERROR, event, {**fields, **(_told_of(error) if error else {})})

    def _write(self, level: int, event: str, fields: Mapping[str, object]) -> None:
        if self._logger.isEnabledFor(level):
            error = fields.get("error")
            place = {"where": _where(error)} if isinstance(error, BaseException) and error.__traceback__ else {}
            everything = {name: _plain(value) for name, value in {**self._fields, **fields, **place}.items()}
            self._logger.log(level, "%s", _line(event, everything), extra={"event": event, "fields": everything})


def log(name: str) -> Logger:
    """Return the logger of a module; call it with `__name__`."""
    return Logger(logging.getLogger(name if name.partition(".")[0] == ROOT else f"{ROOT}.{name}"))


def configure_logging(level: str = "info", json: bool = False, *, unless_done: bool = False) -> None:
    """Send our events to standard error, as `key=value` lines or as JSON lines; a second call replaces the first.

    `unless_done`: leave what an earlier call said, as definitions.py must: the command line imports it and has chosen.
    Nobody else's loggers are touched, the root's and Dagster's least of all.
    """
    logger = logging.getLogger(ROOT)
    ours = [handler for handler in logger.handlers if isinstance(handler, _StandardError)]
    if ours and unless_done:
        return
    for old in ours:
        logger.removeHandler(old)
    handler = _StandardError()
    handler.setFormatter(_JsonLines() if json else _HumanLines())
    logger.addHandler(handler)
    logger.setLevel(level.upper())
    logger.propagate = False  # a root handler of the host program would print every event twice


class _StandardError(logging.Handler):
    # Looks up sys.stderr for each line: a stream kept from start-up is closed when a test or a daemon redirects it.
    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()
        except (OSError, ValueError):
            self.handleError(record)


class _HumanLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = dt.datetime.fromtimestamp(record.created).astimezone()
        return f"{at:%H:%M:%S} {record.levelname.lower():7} {record.getMessage()}"


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields: Mapping[str, object] = getattr(record, "fields", {})
        head = {
            "at": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": getattr(record, "event", None) or record.getMessage(),
        }
        return json.dumps(head | {name: fields[name] for name in fields if name not in RESERVED}, ensure_ascii=False)


def _plain(value: object) -> _Plain:
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return round(value, 3) if math.isfinite(value) else str(value)  # NaN is not JSON
        case BaseException():
            return f"{type(value).__name__}: {value}" if _is_ours(value) else type(value).__name__
        case _:
            return str(value)


def _line(event: str, fields: Mapping[str, _Plain]) -> str:
    return " ".join([event, *(f"{name}={_quoted(value)}" for name, value in fields.items())])


def _quoted(value: _Plain) -> str:
    text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    plain = text.isprintable() and not any(c in text for c in ' "=')
    return text if plain else json.dumps(text, ensure_ascii=False)


def _told_of(error: BaseException) -> dict[str, object]:
    told: dict[str, object] = {"error": type(error).__name__, "where": _where(error)}
    if isinstance(error, DiaryError):
        told["code"] = error.code
    if _is_ours(error):
        told["message"] = str(error)
    return told


def _where(error: BaseException) -> str:
    # Files and lines only: a frame's locals and its source line could hold the diary.
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames[:-1] if ROOT in frame.filename][-FRAMES_KEPT:]
    return " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(ours + frames[-1:]))


def _is_ours(error: BaseException) -> bool:
    # OSError names a path and the system's reason, never content.
    return isinstance(error, DiaryError | OSError)
