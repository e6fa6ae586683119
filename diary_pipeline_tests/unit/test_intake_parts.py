"""Half-fetched files in the scratch folder: who may remove them, and when."""

import os
import time
from pathlib import Path

from diary_pipeline.intake.parts import part_of, sweep_parts

KEPT_S = 6 * 3600.0


def half(scratch: Path, id: str, age_s: float = 0.0) -> tuple[Path, Path]:
    """Make what a fetch that ended left of a submission."""
    with part_of(scratch, id) as part:
        note = part.with_name(f"{id}.http")
        for path in (part, note):
            path.write_bytes(b"half")
            os.utime(path, (time.time() - age_s,) * 2)
    return part, note


def test_what_is_being_fetched_is_left_to_its_fetcher(tmp_path: Path) -> None:
    part, note = half(tmp_path, "live", KEPT_S * 2)
    with part_of(tmp_path, "live"):
        sweep_parts(tmp_path, KEPT_S, set)
        assert part.exists()
        assert note.exists()
    sweep_parts(tmp_path, KEPT_S, set)
    assert not list(part.parent.iterdir())


def test_fifty_halves_wait_for_another_try(tmp_path: Path) -> None:
    halves = [half(tmp_path, f"h{n}", n + 1.0) for n in range(51)]
    sweep_parts(tmp_path, KEPT_S, set)
    assert [path for pair in halves for path in pair if not path.exists()] == list(halves[50])


def test_what_no_submission_waits_for_goes_at_once(tmp_path: Path) -> None:
    kept, cancelled = half(tmp_path, "waits"), half(tmp_path, "cancelled")
    sweep_parts(tmp_path, KEPT_S, lambda ids: {"waits"} & set(ids))
    assert all(path.exists() for path in kept)
    assert not any(path.exists() for path in cancelled)
