"""Publishing in a process of its own, for whoever may read the catalogue in this one.

What is published, and the command's words for people, are catalogue/publisher.py's and cli/manage.py's.

What surprises: one `Publisher` has marts, search index and bucket, and `diary publish` runs it; whoever builds
another in passing publishes a file without them.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from diary_pipeline.core.errors import ServiceMissing

COMMAND = (sys.executable, "-m", "diary_pipeline.cli.main", "publish", "--format", "json")
OURS = "diary: "
"""How the command line begins the one sentence of an error."""


@dataclass(frozen=True)
class PublishProcess:
    """Publishes in a process of its own."""

    environment: Mapping[str, str]
    options: Sequence[str] = ()

    def __call__(self) -> Mapping[str, object]:
        """Run the publisher to its end and return the figures it prints; ServiceMissing `publish_failed`."""
        done = subprocess.run(
            [*COMMAND, *self.options],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        lines = (done.stdout + done.stderr).strip().splitlines() or [""]
        if done.returncode:
            # Only our own sentence: what else a dying process prints may quote a diary.
            said = next((line for line in lines if line.startswith(OURS)), f"exit code {done.returncode}")
            raise ServiceMissing("publish_failed", f"Publishing failed: {said.removeprefix(OURS)}")
        [figures] = json.loads(done.stdout)
        return dict(figures)
