"""The submission that an announcement stands for: its id is made of what was announced, so that it is one row however
often, and by whatever way, it is announced.

Which objects are taken is buckets.py's to say, what messages say queues/messages.py's.
"""

import hashlib
import json

from diary_pipeline.intake.buckets import WatchedBucket, object_uri
from diary_pipeline.ledger.jobs import NewJob

IN_BUCKET = "bucket"
"""As the source of a submission: found in a bucket, by listing it or because GCS told us; nobody handed it in."""
BY_MESSAGE = "queue"
"""As the source of a submission: somebody sent a message of our own kind."""


def job_of(rule: WatchedBucket, name: str, generation: int) -> NewJob:
    """Make the submission of one generation of an object: the same, whoever finds it and however often."""
    uri = object_uri(rule.bucket, name, generation)
    return NewJob(
        id=id_of("object", rule.owner, uri),
        owner=rule.owner,
        source=IN_BUCKET,
        uri=uri,
        file_name=name.rpartition("/")[2],
        options=rule.wishes().as_json(),
    )


def id_of(*said: str) -> str:
    """Give the submission id that stands for these words."""
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:32]
