"""`python -m benchmarks [NAME ...]`: run the named or all, and print tables; an unknown name is told the others."""

import sys
from collections.abc import Callable, Mapping

from benchmarks import (
    api_load,
    calibration,
    catalogue_commits,
    catalogue_growth,
    catalogue_kills,
    control_plane,
    dagster_events,
    notes,
    search,
    search_quality,
    short_files,
    ways_in_kills,
)

BENCHMARKS: Mapping[str, Callable[[], object]] = {
    "short_files": short_files.main,
    "control_plane": control_plane.main,
    "dagster_events": dagster_events.main,
    "calibration": calibration.main,
    "notes": notes.main,
    "catalogue_commits": catalogue_commits.main,
    "search": search.main,
    "search_quality": search_quality.main,
    "catalogue_kills": catalogue_kills.main,
    "catalogue_growth": catalogue_growth.main,
    "api_load": api_load.main,
    "ways_in_kills": ways_in_kills.main,
}


def main(names: list[str]) -> int:
    """Run each named benchmark; an unknown name is told with those there are."""
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"no benchmark {unknown[0]}; there are: {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    for name in names or BENCHMARKS:
        print(f"\n## {name}\n")
        BENCHMARKS[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
