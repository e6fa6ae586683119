"""The ledger's tables of uploads; statements about them stand in uploads.py and refused_uploads.py. See tables.py."""

import sqlalchemy as sa

from diary_pipeline.ledger.tables import metadata

uploads = sa.Table(  # those that are not whole yet
    "uploads",
    metadata,
    sa.Column("submission_id", sa.Text, primary_key=True),
    sa.Column("said", sa.Text, nullable=False),  # Upload-Metadata as it came, which is told again to who resumes
    sa.Column("content_sha256", sa.Text),  # of the whole, where the client says it
    sa.Column("expires_at", sa.Float, nullable=False),  # pushed ahead by every part
)
sa.Index("uploads_expiry", uploads.c.expires_at)

upload_parts = sa.Table(
    "upload_parts",
    metadata,
    sa.Column("submission_id", sa.Text, primary_key=True),
    sa.Column("start_byte", sa.BigInteger, primary_key=True),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("object_key", sa.Text, nullable=False),
)

refused_uploads = sa.Table(  # those whose bytes are kept to be tried again
    "refused_uploads",
    metadata,
    sa.Column("submission_id", sa.Text, primary_key=True),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("content_sha256", sa.Text, nullable=False),
)
sa.Index("refused_uploads_content", refused_uploads.c.content_sha256)

UPLOAD_TABLES = (uploads, upload_parts)
