"""Two replicas that bring the last bytes of one upload at once, met at each moment between their steps."""

from collections.abc import Callable
from pathlib import Path

import pytest

from diary_pipeline.intake.resumable import Resumable, UploadMoved
from diary_pipeline.ledger import uploads
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline.storage.keys import upload_key
from diary_pipeline_tests.uploading import begin_upload


class Interrupted(FolderStore):
    """A store in which something happens just before objects of one kind are stored, once."""

    before: str = "-"
    happens: Callable[[], object]

    def put_file(self, key: str, path: Path) -> None:
        """Store it after that."""
        if key.startswith(self.before):
            self.before = "-"
            self.happens()
        super().put_file(key, path)


@pytest.mark.parametrize("before", ["upload-parts/", "uploads/"])
@pytest.mark.parametrize("rivals", [b"same", b"else"])
def test_of_two_that_end_an_upload_one_is_kept_and_never_replaced(
    ledger: Ledger, tmp_path: Path, before: str, rivals: bytes
) -> None:
    begin_upload(ledger, 9, 9.0)
    store = Interrupted(tmp_path / "objects")
    replica = Resumable(ledger, store, tmp_path / "scratch", 9.0)

    def take(upload: uploads.Upload, data: bytes) -> uploads.Upload | None:
        path = tmp_path / f"sent {data!r}"
        path.write_bytes(data)
        try:
            return replica.take(upload, path, len(data))
        except UploadMoved:
            return None

    with ledger.reading() as conn:
        begun = uploads.find(conn, "one")
    assert begun is not None
    seen = take(begun, b"first")
    assert seen is not None
    told: list[bool] = []
    store.before, store.happens = before, lambda: told.append(take(seen, rivals) is not None)
    told.append(take(seen, b"same") is not None)
    rival, late = told
    kept = store.get(upload_key("one"))
    assert (rival, late) == ((True, False) if before == "upload-parts/" else (rivals == b"same", True))
    assert kept == b"first" + (rivals if before == "upload-parts/" else b"same")
    assert not list(store.list("upload-parts/"))
