"""An upload in parts that has just begun, for tests of the ledger and of intake."""

from diary_pipeline.ledger import jobs, uploads
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.tables import NOT_WHOLE


def begin_upload(
    ledger: Ledger, expected_bytes: int, kept_s: float, metadata: str = "", sha256: str | None = None
) -> str:
    """Open the job of an upload of so many bytes, of which none came yet, and return its id."""
    uploads.expect(ledger, "one", metadata, sha256, kept_s)
    jobs.open_job(
        ledger,
        id="one",
        owner="me",
        source="tus",
        uri="upload:one",
        file_name="a.m4a",
        options={},
        not_before=NOT_WHOLE,
        expected_bytes=expected_bytes,
    )
    return "one"
