"""dbt's manifest: made once where it is missing, and missed loudly where none is to be made."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from diary_pipeline.catalogue.dbt_notes.manifest import manifest
from diary_pipeline.catalogue.dbt_notes.project import PROJECT, fingerprint
from diary_pipeline.core.errors import ServiceMissing
from diary_pipeline_tests.house.tree import ROOT

PAGE = (ROOT / "docs" / "marts.md").read_text(encoding="utf-8")
ASK = (
    "import sys; from pathlib import Path; from diary_pipeline.catalogue.dbt_notes.manifest import manifest; "
    "print(manifest(make=True, target=Path(sys.argv[1]))['metadata']['invocation_id'])"
)


@pytest.mark.slow
def test_processes_that_miss_it_at_once_make_it_once(tmp_path: Path) -> None:
    target = tmp_path / "target"
    asking = [
        subprocess.Popen([sys.executable, "-c", ASK, str(target)], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    told = {process.communicate()[0].strip() for process in asking}
    assert [process.returncode for process in asking] == [0, 0, 0]
    assert len(told) == 1 and "" not in told
    assert {path.name for path in target.iterdir()} == {".lock", "manifest.json"}, "nothing else of dbt's is kept"


def test_where_none_is_to_be_made_its_absence_is_an_error_that_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(ServiceMissing, match=r"run `python -m diary_pipeline.catalogue.dbt_notes.manifest`"):
        manifest(make=False, target=tmp_path)


def test_a_manifest_of_other_files_is_none(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"metadata": {"env": {"PROJECT": "another"}}}))
    with pytest.raises(ServiceMissing, match="another version of dbt_notes"):
        manifest(make=False, target=tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps({"metadata": {"env": {"PROJECT": fingerprint()}}}))
    manifest.cache_clear()
    assert manifest(make=False, target=tmp_path)["metadata"]["env"]["PROJECT"] == fingerprint()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ServiceMissing, match="cannot be made"):
        manifest(make=True, target=tmp_path / "file" / "target")


def test_the_page_about_the_marts_names_each_of_them() -> None:
    models = [node for node in manifest(make=True)["nodes"].values() if node["resource_type"] == "model"]
    marts = {node["name"] for node in models if node["config"]["schema"] == "marts"}
    assert marts == set(re.findall(r"`(\w+)`(?=[^|\n]*\| an? |[^|\n]*\| the build)", PAGE))


def test_the_project_lies_beside_the_package() -> None:
    assert (PROJECT / "dbt_project.yml").is_file() and (PROJECT.parent / "diary_pipeline").is_dir()
