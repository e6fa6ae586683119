"""Scratch files: whose they are, and what becomes of those that a killed process left."""

import shutil
import subprocess
import sys
import threading
from pathlib import Path

from diary_pipeline.intake.parts import part_of
from diary_pipeline.intake.scratch import scratch_file, sweep_scratch
from diary_pipeline.ledger import submissions
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.erasures import Subject
from diary_pipeline.upkeep.places import ScratchFiles

CHILD = """
import signal, sys
from pathlib import Path
from diary_pipeline.intake.scratch import scratch_file
with scratch_file(Path(sys.argv[1])) as path:
    path.write_bytes(b"half a diary")
    print(path, flush=True)
    signal.pause()
"""


def test_what_a_killed_process_left_goes_with_the_next_sweep_and_what_is_used_stays(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        path = Path(child.stdout.readline().strip())
        assert (sweep_scratch(tmp_path), path.exists()) == (0, True)
        child.kill()
    assert (sweep_scratch(tmp_path), path.exists()) == (1, False)


def test_a_file_that_cannot_be_opened_keeps_no_sweep_from_the_others(tmp_path: Path) -> None:
    cat = shutil.which("cat")
    assert cat
    running = tmp_path / "running"  # what runs cannot be written, not even by root
    shutil.copy(cat, running)
    left = tmp_path / "left"
    left.write_bytes(b"half a diary")
    with subprocess.Popen([running], stdin=subprocess.PIPE):
        assert sweep_scratch(tmp_path) == 1
        assert (running.exists(), left.exists()) == (True, False)


def test_a_sweep_never_takes_a_file_that_was_just_begun(tmp_path: Path) -> None:
    ended = threading.Event()

    def sweep() -> None:
        while not ended.is_set():
            sweep_scratch(tmp_path)

    sweeping = threading.Thread(target=sweep)
    sweeping.start()
    try:
        for _ in range(300):
            with scratch_file(tmp_path) as path:
                assert path.exists()
    finally:
        ended.set()
        sweeping.join()


def test_scratch_holds_nothing_of_what_was_erased(ledger: Ledger, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    uri = "https://audio.example/x.wav"
    waits = submissions.submit(ledger, owner="me", source="api", uri=uri, file_name="x.wav", options={})
    for id in (waits, "erased"):
        with part_of(scratch, id) as part:
            part.write_bytes(b"half a diary")
    (scratch / "tmpleft").write_bytes(b"half a diary")
    place, gone = ScratchFiles(ledger, scratch), [Subject("erased", "me", None, None, (uri,))]
    assert place.count(gone) == {"fetched": 1}
    with part_of(scratch, "erased"):
        place.remove(gone)
        assert place.count(gone) == {"fetched": 1}, "who is at it finds out that it was erased, and removes it"
    place.remove(gone)
    assert place.count(gone) == {}
    assert [path.name for path in scratch.rglob("*") if path.is_file()] == [waits]
