"""What a message says: a submission, nothing for us, or nothing that can be understood.

Two kinds. Our own, JSON (docs/queues.md shows it whole):

    {"uri": "https://example.org/memo.m4a", "user_id": "anna", "id": "app-4711", "priority": "high", "language": "de",
     "recorded_at": "2026-05-01T21:30+02:00", "title": "...", "tags": ["..."], "vocabulary": ["..."],
     "whisper_model": "small", "metadata": {"any": "JSON"}, "callback_url": "https://example.org/told"}

and what Google Cloud Storage tells of its objects, of which the attributes are enough. The surprise: the id of the
submission is made of what the message says, never of its delivery, so that any number of deliveries is one row.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from diary_pipeline.core.batch import priority_rank
from diary_pipeline.core.errors import PermanentError, UsageError
from diary_pipeline.core.owner import owner_name
from diary_pipeline.intake.addresses import Guard
from diary_pipeline.intake.announced import BY_MESSAGE, id_of, job_of
from diary_pipeline.intake.buckets import WatchedBucket, is_recording, object_of, object_uri, our_prefix, rule_for
from diary_pipeline.intake.fetcher import Fetcher
from diary_pipeline.intake.names import name_in, path_of, scheme_of, shown_name
from diary_pipeline.intake.options import Options, clean_text
from diary_pipeline.intake.queues.protocol import Message
from diary_pipeline.intake.sent_json import check_metadata, parsed
from diary_pipeline.intake.submit import check_model
from diary_pipeline.ledger.jobs import NewJob

MAX_BYTES = 256 * 1024
MAX_URI = 2048
MAX_ID = 200
FIELDS = ("uri", "user_id", "id", "priority", "metadata", "callback_url")
"""Beside the options of intake/options.py."""
_EVENT = "eventType"
_WRITTEN = "OBJECT_FINALIZE"


@dataclass(frozen=True)
class Admission:
    """What messages are judged by."""

    default_owner: str
    allowed_models: Collection[str]
    buckets: Sequence[WatchedBucket] = ()
    fetchers: Mapping[str, Fetcher] = field(default_factory=dict)
    """By scheme: what judges addresses of the web."""
    store: str | None = None
    """gs://... of our own objects, which nobody submits."""
    check_callback: Callable[[str], object] = Guard().target
    """Refuses what nobody may be told at: UsageError."""


def read(message: Message, admission: Admission) -> NewJob | None:
    """Say what a message asks for; None: nothing that concerns us; PermanentError when it cannot be understood."""
    if _EVENT in message.attributes and "bucketId" in message.attributes:
        return _notification(message.attributes, admission)
    return _own(message, admission)


def _notification(said: Mapping[str, str], admission: Admission) -> NewJob | None:
    if said[_EVENT] != _WRITTEN:
        return None
    bucket, name, generation = said["bucketId"], said.get("objectId", ""), said.get("objectGeneration", "")
    if not name or not generation.isdecimal():
        raise UsageError("message_invalid", "A notification must name objectId and objectGeneration.")
    ours = our_prefix(bucket, admission.store)
    if ours is not None and name.startswith(ours):
        return None
    rule = rule_for(bucket, name, admission.buckets)
    if rule is None:
        raise PermanentError(
            "bucket_unknown",
            f"No table [[buckets]] of DIARY_CONFIG says whose recordings gs://{bucket} holds there; add one, then send "
            "the dead letters again.",
        )
    return job_of(rule, name, int(generation)) if is_recording(name, rule) else None


def _own(message: Message, admission: Admission) -> NewJob:
    said = _json(message.body)
    unknown = sorted(set(said) - {*FIELDS, *Options.__dataclass_fields__})
    if unknown:
        raise UsageError("option_unknown", f"There is no field {unknown[0][:80]!r}; docs/queues.md lists them all.")
    uri, name, rule = address(said.get("uri"), admission)
    options = Options.read({k: v for k, v in said.items() if k in Options.__dataclass_fields__})
    check_model(options.whisper_model, admission.allowed_models)
    if rule is not None:
        options = under(options, rule.wishes())
    owner = said.get("user_id") or (rule.owner if rule else admission.default_owner)
    priority = said.get("priority") or "medium"
    if not isinstance(owner, str) or not isinstance(priority, str):
        raise UsageError("message_invalid", "user_id and priority must be text.")
    owner_name(owner)
    priority_rank(priority)
    check_metadata(said.get("metadata"))
    return NewJob(
        id=_id(clean_text(said.get("id"), "id", MAX_ID), owner, uri, message),
        owner=owner,
        source=BY_MESSAGE,
        uri=uri,
        file_name=name,
        options=options.as_json(),
        priority=priority,
        said=said.get("metadata"),
        callback_url=_callback(said.get("callback_url"), admission),
    )


def _json(body: bytes) -> Mapping[str, object]:
    if len(body) > MAX_BYTES:
        raise UsageError("message_invalid", f"A message must not be larger than {MAX_BYTES} bytes.")
    try:
        said = parsed(body)
    except UsageError as error:
        raise UsageError("message_invalid", error.message) from None
    if not isinstance(said, dict):
        raise UsageError("message_invalid", 'A message must be a JSON object, such as {"uri": "https://..."}.')
    return said


def address(said: object, admission: Admission) -> tuple[str, str, WatchedBucket | None]:
    """Give the address as it is stored, the file name, and the rule of its bucket; UsageError for others."""
    if not isinstance(said, str) or not said or len(said) > MAX_URI or not said.isprintable():
        raise UsageError("message_invalid", f"uri must be an address of at most {MAX_URI} printable characters.")
    scheme = scheme_of(said)
    if scheme == "gs":
        bucket, name, generation = object_of(said)
        ours = our_prefix(bucket, admission.store)
        if ours is not None and name.startswith(ours):
            raise UsageError("object_address_invalid", "What lies in the product's own store cannot be submitted.")
        rule = rule_for(bucket, name, admission.buckets)
        return object_uri(bucket, name, generation), name.rpartition("/")[2], rule
    if scheme == "file" and "://" in said:
        return said, shown_name(path_of(said)), None
    fetcher = admission.fetchers.get(scheme)
    if fetcher is None:
        raise UsageError("scheme_not_supported", "uri must begin with https://, http://, gs:// or file://.")
    fetcher.check(said)
    return said, name_in(said), None


def _callback(said: object, admission: Admission) -> str | None:
    if said is None:
        return None
    if not isinstance(said, str):
        raise UsageError("message_invalid", "callback_url must be text.")
    admission.check_callback(said)
    return said


def under(asked: Options, usual: Options) -> Options:
    """Fill what the message did not say with what holds for its bucket; tags and vocabulary add up."""
    return replace(
        asked,
        whisper_model=asked.whisper_model or usual.whisper_model,
        language=asked.language or usual.language,
        tags=tuple(dict.fromkeys((*asked.tags, *usual.tags))),
        vocabulary=tuple(dict.fromkeys((*asked.vocabulary, *usual.vocabulary))),
    )


def _id(said: str | None, owner: str, uri: str, message: Message) -> str:
    if said is not None:
        return id_of("message", owner, said)
    if uri.startswith("gs://") and object_of(uri)[2] is not None:
        return id_of("object", owner, uri)
    return id_of("delivery", message.id)
