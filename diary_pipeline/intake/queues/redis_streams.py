"""Announcements in a Redis stream: one entry a message, its JSON in the field `message`.

All workers are one consumer of one group: the group shares entries out by itself, and the names of workers that died
need no sweeping. What a worker was handed and did not acknowledge is claimed by whoever asks next, once it was left
alone for a while. Dead letters lie in a stream beside it, `<stream>:dead`, as they came and with the reason.

What surprises: acknowledged entries stay in a stream, so they are cut off its beginning, and only as far as *every*
group of the stream has acknowledged: another group's entries are not ours to drop. And a server that lost everything
has no group: it is made again by the next look.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from diary_pipeline.core.errors import DiaryError, ServiceMissing
from diary_pipeline.intake.queues.protocol import AGAIN_AFTER_S, Message

CONSUMER = "diary"
FIELD = "message"
ANSWER_S = 10.0
LONGEST_WAIT_S = 20.0
_NOWHERE = "0-0"


class RedisQueue:
    """One group of one stream; see UploadNotifications for the promises."""

    def __init__(self, url: str, stream: str, group: str, *, again_after_s: float = AGAIN_AFTER_S) -> None:
        """Connect at the first use; `url` is redis://, rediss:// or unix://."""
        self._url = url
        self._stream = stream
        self._dead = f"{stream}:dead"
        self._group = group
        self._idle_ms = round(again_after_s * 1000)
        self._opened: Any = None
        self.name = f"{_shown(url)} stream {stream}"

    def pull(self, limit: int, wait_s: float = 0.0) -> Sequence[Message]:
        """Claim what was abandoned, then read what is new."""
        with self._answers() as redis:
            from redis.exceptions import ResponseError

            try:
                return self._pull(redis, limit, wait_s)
            except ResponseError as error:
                if not str(error).startswith("NOGROUP"):
                    raise
            self._begin(redis)
            return self._pull(redis, limit, wait_s)

    def keep(self, messages: Sequence[Message]) -> None:
        """Reset the time since they were handed out."""
        with self._answers() as redis:
            redis.xclaim(self._stream, self._group, CONSUMER, 0, [m.receipt for m in messages], justid=True)

    def ack(self, messages: Sequence[Message]) -> None:
        """Acknowledge, and drop what every group has acknowledged."""
        if messages:
            with self._answers() as redis:
                redis.xack(self._stream, self._group, *(m.receipt for m in messages))
                self._trim(redis)

    def later(self, messages: Sequence[Message]) -> None:
        """Do nothing: what is not acknowledged is claimed after a while."""

    def bury(self, message: Message, code: str, reason: str) -> None:
        """Move an entry into the stream of dead letters, in one transaction."""
        with self._answers() as redis, redis.pipeline(transaction=True) as both:
            said = {FIELD: message.body, **message.attributes}
            both.xadd(self._dead, {**said, "dead_code": code, "dead_reason": reason, "dead_id": message.receipt})
            both.xack(self._stream, self._group, message.receipt)
            both.execute()

    def state(self) -> str:
        """Count what waits."""
        with self._answers() as redis:
            redis.ping()
            waiting = handed_out = 0
            for group in self._groups(redis):
                if _text(group["name"]) == self._group:
                    # A server that lost count says none: the length is no less.
                    lag = group.get("lag")
                    waiting = int(redis.xlen(self._stream)) if lag is None else int(lag)
                    handed_out = int(group["pending"])
            dead = int(redis.xlen(self._dead))
        return f"{self.name}: {waiting} waiting, {handed_out} handed out, {dead} dead letters."

    def close(self) -> None:
        """Close the pool."""
        if self._opened is not None:
            self._opened.close()

    def _pull(self, redis: Any, limit: int, wait_s: float) -> list[Message]:
        _, abandoned, *_ = redis.xautoclaim(
            self._stream, self._group, CONSUMER, min_idle_time=self._idle_ms, start_id=_NOWHERE, count=limit
        )
        # An entry that was deleted by hand while it was out has no fields; Redis forgets it in this very call.
        taken = self._counted(redis, [(id, fields) for id, fields in abandoned if fields])
        if len(taken) < limit:
            block = round(min(wait_s, LONGEST_WAIT_S) * 1000) if wait_s > 0 and not taken else None
            wanted = {self._stream: ">"}
            found = redis.xreadgroup(self._group, CONSUMER, wanted, count=limit - len(taken), block=block)
            new = found[0][1] if found else []
            taken += [_message(self._stream, id, fields, 1) for id, fields in new]
        return taken

    def _counted(self, redis: Any, claimed: Sequence[tuple[bytes, dict[bytes, bytes]]]) -> list[Message]:
        if not claimed:
            return []
        with redis.pipeline(transaction=False) as asked:
            for id, _ in claimed:
                asked.xpending_range(self._stream, self._group, id, id, 1)
            counts = [int(rows[0]["times_delivered"]) if rows else 1 for rows in asked.execute()]
        return [_message(self._stream, id, fields, n) for (id, fields), n in zip(claimed, counts, strict=True)]

    def _trim(self, redis: Any) -> None:
        open_from = []
        for group in self._groups(redis):
            pending = redis.xpending(self._stream, group["name"])
            oldest = pending["min"] if pending["pending"] else group["last-delivered-id"]
            open_from.append(_text(oldest))
        if open_from:
            first = min(open_from, key=lambda id: tuple(map(int, id.split("-"))))
            # Approximately: whole blocks of a hundred entries are dropped, which costs next to nothing.
            redis.xtrim(self._stream, minid=first, approximate=True)

    def _groups(self, redis: Any) -> Sequence[Any]:
        from redis.exceptions import ResponseError

        try:
            groups = redis.xinfo_groups(self._stream)
        except ResponseError as error:
            if "no such key" not in str(error).lower():
                raise
            return ()
        return list(groups)

    def _begin(self, redis: Any) -> None:
        from redis.exceptions import ResponseError

        try:
            redis.xgroup_create(self._stream, self._group, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):  # another worker was faster
                raise

    def _redis(self) -> Any:
        if self._opened is None:
            try:
                from redis import Redis
                from redis.backoff import ExponentialBackoff
                from redis.retry import Retry
            except ModuleNotFoundError as error:
                raise ServiceMissing(
                    "queue_unreachable", f"{self.name} needs the Python package redis: install diary-pipeline[redis]."
                ) from error
            self._opened = Redis.from_url(
                self._url,
                socket_connect_timeout=ANSWER_S,
                socket_timeout=ANSWER_S + LONGEST_WAIT_S,
                health_check_interval=30,
                # A server that is started anew is back at once or for long: a tick waits for the first kind only.
                retry=Retry(ExponentialBackoff(cap=0.5, base=0.05), 3),
            )
        return self._opened

    @contextmanager
    def _answers(self) -> Iterator[Any]:
        redis = self._redis()
        from redis.exceptions import RedisError

        try:
            yield redis
        except DiaryError:
            raise
        except (RedisError, OSError) as error:
            raise ServiceMissing(
                "queue_unreachable",
                f"{self.name} cannot be used ({type(error).__name__}: {str(error)[:200]}); check DIARY_REDIS_URL and "
                "its server.",
            ) from error


def _message(stream: str, id: bytes, fields: dict[bytes, bytes], deliveries: int) -> Message:
    said = {_text(name): value for name, value in fields.items()}
    body = said.pop(FIELD, b"")
    return Message(f"{stream} {_text(id)}", body, {k: _text(v) for k, v in said.items()}, deliveries, _text(id))


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _shown(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
