"""How much main memory this process may still take, in bytes.

The kernel's figure, or less where a container's limit is nearer. Memory of a GPU is cuda.py's business; what a model
needs is footprint.py's.

What surprises: a container's kernel tells the host's free memory. The limit stands in the control group (version 2),
or in one above it, and what counts against it includes file pages that go when they are asked for.
"""

from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")
CGROUP = Path("/sys/fs/cgroup")


def free_memory(proc: Path = PROC, cgroup: Path = CGROUP) -> int | None:
    """Return how many bytes can be taken without swapping and without being killed; None where nobody tells."""
    known = [free for free in (_available(proc), *_below_limits(proc, cgroup)) if free is not None]
    return max(0, min(known)) if known else None


def _available(proc: Path) -> int | None:
    return _numbers(proc / "meminfo").get("MemAvailable:", 0) * 1024 or None


def _below_limits(proc: Path, cgroup: Path) -> Iterator[int | None]:
    for group in _groups(proc, cgroup):
        limit, used = _number(group / "memory.max"), _number(group / "memory.current")
        if limit is not None and used is not None:
            yield limit - used + _numbers(group / "memory.stat").get("inactive_file", 0)


def _groups(proc: Path, cgroup: Path) -> Iterator[Path]:
    # Inside a container the own group often is the root of what is mounted, whatever its path says.
    own = next((line[4:] for line in _lines(proc / "self" / "cgroup") if line.startswith("0::/")), "")
    group = cgroup / own
    yield group
    while group != cgroup and cgroup in group.parents:
        group = group.parent
        yield group


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:
        return []


def _number(file: Path) -> int | None:
    said = "".join(_lines(file)).strip()
    return int(said) if said.isdigit() else None  # `max` is no limit


def _numbers(file: Path) -> dict[str, int]:
    # Lines of a name, a number and perhaps a unit.
    rows = (line.split() for line in _lines(file))
    return {row[0]: int(row[1]) for row in rows if len(row) > 1 and row[1].isdigit()}
