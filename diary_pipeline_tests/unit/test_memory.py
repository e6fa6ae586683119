"""Free memory is what the kernel says, or less where a container's limit is nearer."""

from pathlib import Path

import pytest

from diary_pipeline.transcription.devices.memory import free_memory

MIB = 1 << 20
MEMINFO = (
    "MemTotal:       16000000 kB\nMemFree:          100000 kB\nMemAvailable:    8388608 kB\nHugePages_Total:       0\n"
)
NO_LIMIT = {"memory.max": "max\n", "memory.current": f"{100 * MIB}\n"}


def group(limit: int, used: int, cached: int = 0) -> dict[str, str]:
    stat = f"anon {used - cached}\nfile {cached}\ninactive_file {cached}\nactive_file 0\n"
    return {"memory.max": f"{limit}\n", "memory.current": f"{used}\n", "memory.stat": stat}


@pytest.mark.parametrize(
    ("meminfo", "own", "groups", "expected_mib"),
    [
        (MEMINFO, None, {}, 8192),
        (MEMINFO, "0::/", {"": NO_LIMIT}, 8192),
        (MEMINFO, "0::/", {"": group(1024 * MIB, 600 * MIB)}, 424),
        (MEMINFO, "0::/", {"": group(1024 * MIB, 600 * MIB, cached=500 * MIB)}, 924),
        (MEMINFO, "0::/", {"": group(1 << 60, 0)}, 8192),
        (MEMINFO, "0::/", {"": group(100 * MIB, 130 * MIB)}, 0),
        (MEMINFO, "0::/a/b", {"a/b": NO_LIMIT, "a": group(512 * MIB, 12 * MIB), "": NO_LIMIT}, 500),
        (MEMINFO, "0::/a/b", {"a/b": group(256 * MIB, 6 * MIB), "a": group(512 * MIB, 12 * MIB)}, 250),
        # Inside a container the path can be the host's, while the group is mounted at the root.
        (MEMINFO, "0::/kubepods/pod1", {"": group(2048 * MIB, 48 * MIB)}, 2000),
        (MEMINFO, "0::/../../pod1", {"": group(2048 * MIB, 48 * MIB)}, 2000),
        (MEMINFO, "4:memory:/old\n1:name=systemd:/", {}, 8192),
        ("MemTotal: 1 kB\n", "0::/", {"": group(64 * MIB, 0)}, 64),
        ("", None, {}, None),
        (None, None, {}, None),
    ],
)
def test_free_memory_is_the_nearest_of_all_limits(
    tmp_path: Path, meminfo: str | None, own: str | None, groups: dict[str, dict[str, str]], expected_mib: int | None
) -> None:
    proc, cgroup = tmp_path / "proc", tmp_path / "cgroup"
    (proc / "self").mkdir(parents=True)
    if meminfo is not None:
        (proc / "meminfo").write_text(meminfo)
    if own is not None:
        (proc / "self" / "cgroup").write_text(own + "\n")
    for name, contents in groups.items():
        (cgroup / name).mkdir(parents=True, exist_ok=True)
        for file, text in contents.items():
            (cgroup / name / file).write_text(text)
    assert free_memory(proc, cgroup) == (None if expected_mib is None else expected_mib * MIB)


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="this system has no /proc/meminfo")
def test_this_machine_tells_its_free_memory() -> None:
    assert (free_memory() or 0) > MIB
