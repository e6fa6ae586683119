"""The lines of docs/uploads.md, as somebody pastes them."""

import json
import re
import shutil
import subprocess
from pathlib import Path

from diary_pipeline_tests.api.serving import Deployment, asked
from diary_pipeline_tests.builders import speech_like, write_audio
from diary_pipeline_tests.house.tree import ROOT
from diary_pipeline_tests.servers import missing_server

LINES = re.findall(r"^\$ (curl .*|AT=.*|N=.*)$", (ROOT / "docs" / "uploads.md").read_text(encoding="utf-8"), re.M)


def test_the_lines_of_the_page_do_what_it_says(tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        missing_server("curl is not installed")
    house = Deployment(tmp_path / "home", DIARY_WHISPER_MODEL="tiny.en")
    write_audio(tmp_path / "memo.m4a", speech_like(2.0))
    with asked(house) as client:

        def pasted(line: str, job: str = "JOB") -> str:
            here = re.sub(r"http://127\.0\.0\.1:\d+", str(client.base_url), line).replace("JOB", job)
            done = subprocess.run(["bash", "-c", here], cwd=tmp_path, capture_output=True, text=True, check=True)
            return done.stdout

        form, raw, hashed, parts, *corrections = LINES
        opened = [json.loads(pasted(line)) for line in (form, raw, hashed)]
        assert [job["status"] for job in opened] == ["pending"] * 3
        assert "Upload-Offset: 1000".lower() in pasted(parts).lower()
        house.work()
        answers = [json.loads(pasted(line, opened[0]["job_id"])) for line in corrections]
    assert [sorted(made["target"] for made in answer["corrections"]) for answer in answers] == [
        ["segment"],
        ["note_date", "segment", "title"],
        ["note_date", "segment", "title"],
        [],
    ]
