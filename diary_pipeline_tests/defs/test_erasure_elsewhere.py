"""An erasure where a second publisher keeps a file of its own on another disk."""

from pathlib import Path

import pytest

from diary_pipeline.catalogue.publisher import Publisher
from diary_pipeline.core.errors import TransientError
from diary_pipeline.ledger.publications import place_of, watch
from diary_pipeline_tests.defs.erasing import GONE, STAYS, fill, finish, hide, told_in, write_plainly
from diary_pipeline_tests.defs.house import House

pytestmark = pytest.mark.slow


def test_an_erasure_waits_until_every_publisher_has_rewritten_its_own_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_plainly(monkeypatch)
    with House(tmp_path / "home") as house:
        gone, _ = fill(house)
        elsewhere = Publisher(house.ledger, house.wiring.store, tmp_path / "elsewhere" / "catalogue.duckdb")
        elsewhere.publish()
        watch(house.ledger, place_of(elsewhere.live), 60)
        hide(house, gone)
        with pytest.raises(TransientError, match="in catalogue; the next run removes it"):
            finish(house)
        assert told_in(elsewhere.live.parent, GONE) != {}
        elsewhere.publish()
        assert told_in(elsewhere.live.parent, GONE) == {}
        assert told_in(elsewhere.live.parent, STAYS) != {}
        [receipt] = finish(house).receipts
        assert receipt["removed"]["catalogue"] == {"files": 1}  # type: ignore[index]
