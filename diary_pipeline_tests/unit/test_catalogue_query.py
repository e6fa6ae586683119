"""SQL reads the published file, and nothing else."""

from pathlib import Path

import pytest

from diary_pipeline.catalogue.publisher import Publisher
from diary_pipeline.catalogue.query import Answer, query
from diary_pipeline.core.errors import NotFound, ServiceMissing, UsageError
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.storage.folder import FolderStore


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published catalogue without a recording."""
    home = tmp_path_factory.mktemp("home")
    ledger = open_ledger(f"sqlite:///{home / 'ledger.db'}")
    Publisher(ledger, FolderStore(home / "objects"), home / "catalogue.duckdb").publish()
    ledger.close()
    return home / "catalogue.duckdb"


def test_a_query_returns_columns_and_rows(live: Path) -> None:
    assert query(live, "SELECT watermark AS w, ? AS said FROM catalogue_state", ("hello",)) == Answer(
        ("w", "said"), ((0, "hello"),)
    )
    assert query(live, "FROM notes;").rows == ()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('/etc/hostname')",
        "FROM '/etc/hostname'",
        "ATTACH '/tmp/other.duckdb'",
        "COPY notes TO '/tmp/notes.csv'",
        "EXPORT DATABASE '/tmp/catalogue'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "DELETE FROM notes",
        "SELECT nothing FROM notes",
        "SELEC 1",
        "SELECT 1; SELECT 2",
        "",
        "SELECT ?",
    ],
)
def test_whatever_is_not_a_query_over_the_catalogue_is_refused_with_a_sentence(live: Path, sql: str) -> None:
    with pytest.raises(UsageError) as refused:
        query(live, sql)
    assert refused.value.code == "sql_invalid"
    assert refused.value.message
    assert "\n" not in refused.value.message


def test_before_the_first_publish_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="diary publish") as missing:
        query(tmp_path / "catalogue.duckdb", "FROM notes")
    assert missing.value.code == "catalogue_missing"


def test_a_file_that_is_no_catalogue_is_named(tmp_path: Path) -> None:
    (tmp_path / "catalogue.duckdb").write_bytes(b"not a database" * 1000)
    with pytest.raises(ServiceMissing, match=r"catalogue\.duckdb") as unreadable:
        query(tmp_path / "catalogue.duckdb", "FROM notes")
    assert unreadable.value.code == "catalogue_unreadable"
