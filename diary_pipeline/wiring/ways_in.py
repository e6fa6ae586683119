"""The ways in that somebody else keeps: the queue that announces uploads, and the buckets that are looked through.

Folders are intake's own business. No rule lives here.
"""

from functools import cached_property

from diary_pipeline.intake.addresses import Guard
from diary_pipeline.intake.arrivals import Arrivals
from diary_pipeline.intake.bucket_scan import BucketScan
from diary_pipeline.intake.queues.messages import Admission
from diary_pipeline.intake.queues.protocol import UploadNotifications
from diary_pipeline.intake.queues.pubsub import PubSubQueue
from diary_pipeline.intake.queues.redis_streams import RedisQueue
from diary_pipeline.wiring.stages import Stages


class WaysIn(Stages):
    """Where recordings of one deployment come from."""

    @cached_property
    def notifications(self) -> UploadNotifications | None:
        """The queue at `DIARY_UPLOAD_QUEUE`; None: there is none. Nothing is opened before it is used."""
        s = self.settings
        if s.upload_queue == "redis":
            return RedisQueue(s.redis_url or "", s.redis_stream, s.redis_group, again_after_s=s.queue_again_s)
        if s.upload_queue == "pubsub":
            return PubSubQueue(
                s.pubsub_project or "",
                s.pubsub_subscription or "",
                s.pubsub_dead_letter_topic or "",
                again_after_s=s.queue_again_s,
            )
        return None

    @property
    def callbacks(self) -> Guard:
        """What judges the addresses of receivers of webhooks."""
        return Guard(allowed=self.settings.webhook_allowed_hosts)

    @property
    def admission(self) -> Admission:
        """What messages, and addresses of objects, are judged by."""
        s = self.settings
        check = self.callbacks.target
        return Admission(s.default_owner, s.allowed_models, s.buckets, self.fetchers, s.bucket, check)

    @cached_property
    def arrivals(self) -> Arrivals:
        """What asks the queue, the buckets and the folders for what is new."""
        s = self.settings
        return Arrivals(
            self.ledger,
            self.intake,
            s.folders,
            queue=self.notifications,
            admission=self.admission,
            buckets=BucketScan(self.ledger, s.buckets, store=s.bucket, rest_s=s.bucket_rest_s),
            budget_s=s.queue_budget_s,
            max_messages=s.queue_max_messages,
            bucket_pages=s.bucket_pages,
        )
