"""What goes over the wire of the job API, as it is documented and checked.

Words only; how a job comes to be, or is shown, stands in opening.py and jobs.py. What surprises: what a client sends
may hold no unknown field, because a misspelt one would be a wish that nobody hears, but `metadata` is any JSON.
"""

import datetime as dt
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator

from diary_pipeline.core.errors import UsageError
from diary_pipeline.intake.sent_json import check_metadata

Priority = Literal["urgent", "high", "medium", "low"]
JobStatus = Literal[
    "pending", "downloading", "transcribing", "generating_notes", "completed", "degraded", "failed", "cancelled"
]
JOB = "0f5f8a2c9d1b4e7f8a6c3b2d1e0f9a8b"
WHEN = "2026-05-01T19:31:05.120Z"
LONGEST_URL = 4096


class Wishes(BaseModel):
    """What may be asked for with every recording, however its bytes come."""

    model_config = ConfigDict(extra="forbid")

    priority: Priority = Field("medium", description="Batches are planned in this order; the low ones wait longest.")
    whisper_model: str | None = Field(
        None, description="One of DIARY_ALLOWED_MODELS; none: the deployment's usual one."
    )
    language: str | None = Field(None, description="ISO 639-1 code to force, or `auto`; none: it is detected.")
    user_id: str | None = Field(None, description="Whose diary it is. The owner of an API key wins over it.")
    recorded_at: str | None = Field(
        None, description="When it was spoken, ISO 8601; without an offset in the owner's time zone."
    )
    title: str | None = Field(None, description="Of the note; none: one is made.")
    tags: list[str] | None = Field(None, description="Up to 50; they choose templates.")
    vocabulary: list[str] | None = Field(None, description="Names and terms that are said in it, up to 100.")
    metadata: JsonValue = Field(
        None, description="Any JSON, up to 64 KB and 4,000 values; it comes back with the job and its webhooks."
    )
    callback_url: str | None = Field(
        None, description="Where a signed event is sent when the job ends.", max_length=LONGEST_URL
    )

    @field_validator("metadata", mode="before")
    @classmethod
    def _of_fair_size(cls, value: object) -> object:
        try:
            check_metadata(value)
        except UsageError as error:
            raise ValueError(error.message) from None
        return value


class Submission(Wishes):
    """A recording that is fetched from a URL."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "audio_url": "https://media.example.com/memos/2026-05-01.m4a",
                "priority": "high",
                "language": "en",
                "metadata": {"device": "phone", "seen": [1, 2]},
            }
        },
    )

    audio_url: str = Field(
        description="http:// or https:// address of the audio, or gs:// of an object under your [[buckets]] rule.",
        min_length=1,
        max_length=LONGEST_URL,
    )


class Batch(BaseModel):
    """Many recordings at once."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"jobs": [{"audio_url": "https://media.example.com/a.m4a"}]}},
    )

    jobs: Annotated[
        list[Any],  # one that is no object is answered in its place, as others that do not fit
        Field(
            description="Each as in POST /jobs; those that do not fit are answered with an error.",
            min_length=1,
            json_schema_extra={"items": {"$ref": "#/components/schemas/Submission"}},
        ),
    ]


class Accepted(BaseModel):
    """A job that will not be lost."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "job_id": JOB,
                "status": "pending",
                "created_at": WHEN,
                "estimated_completion": "2026-05-01T19:33:40.000Z",
            }
        }
    )

    job_id: str
    status: JobStatus
    created_at: dt.datetime
    estimated_completion: dt.datetime | None = Field(
        description="By what waits before it and how fast audio was worked off lately; null once it has ended."
    )


class BatchAnswer(BaseModel):
    """What became of one item of a batch: a job, or an error."""

    index: int = Field(description="Place in the request, from 0.")
    job_id: str | None = None
    status: JobStatus | None = None
    created_at: dt.datetime | None = None
    estimated_completion: dt.datetime | None = None
    error: str | None = Field(None, description="Stable code; then there is no job.")
    message: str | None = None


class BatchAccepted(BaseModel):
    """What became of a batch."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "accepted": 1,
                "refused": 1,
                "jobs": [
                    {"index": 0, "job_id": JOB, "status": "pending", "created_at": WHEN},
                    {"index": 1, "error": "url_invalid", "message": "This is no http:// or https:// address."},
                ],
            }
        }
    )

    accepted: int
    refused: int
    jobs: list[BatchAnswer]


class Progress(BaseModel):
    """How far each stage is, 0 to 100."""

    download: int
    transcription: int
    notes: int


class Job(BaseModel):
    """A job as it stands."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "job_id": JOB,
                "status": "transcribing",
                "progress": 42,
                "stages": {"download": 100, "transcription": 40, "notes": 0},
                "user_id": "me",
                "source": "api",
                "file_name": "2026-05-01.m4a",
                "priority": "medium",
                "whisper_model": None,
                "language": "en",
                "metadata": {"device": "phone"},
                "recording_key": "2026-05-01-2026-05-01-3f2a9c0d1e7b",
                "duplicate": False,
                "created_at": WHEN,
                "ended_at": None,
                "estimated_completion": "2026-05-01T19:33:40.000Z",
                "error": None,
                "message": None,
                "next_try_at": None,
                "received_bytes": None,
                "expected_bytes": None,
                "links": {"self": f"/jobs/{JOB}"},
            }
        }
    )

    job_id: str
    status: JobStatus
    progress: int = Field(ge=0, le=100)
    stages: Progress
    user_id: str
    source: str = Field(description="How it came in: api, upload, cli, folder, ...")
    file_name: str
    priority: Priority
    whisper_model: str | None = Field(description="The one that was asked for.")
    language: str | None = Field(description="The one that was asked for.")
    metadata: JsonValue
    recording_key: str | None = Field(description="Its recording, once its bytes were taken in.")
    duplicate: bool = Field(description="This audio was known already.")
    created_at: dt.datetime
    ended_at: dt.datetime | None
    estimated_completion: dt.datetime | None
    error: str | None = Field(description="Stable code of why it failed, lastly or for good, or `audio_no_speech`.")
    message: str | None
    next_try_at: dt.datetime | None = Field(description="When what failed is tried again by itself; null: it is not.")
    received_bytes: int | None
    expected_bytes: int | None
    links: dict[str, str] = Field(description="Paths of what there is to read.")


class JobList(BaseModel):
    """A page of jobs, the newest first."""

    jobs: list[Job]
    next_cursor: str | None = Field(description="Where the next page begins; null: that was all.")


class Gone(BaseModel):
    """What became of a job that nobody wants any more."""

    model_config = ConfigDict(json_schema_extra={"example": {"job_id": JOB, "status": "cancelled", "erasure_id": None}})

    job_id: str
    status: Literal["cancelled", "removed"]
    erasure_id: str | None = Field(description="Of its recording's erasure; null: another job holds it, or none.")
