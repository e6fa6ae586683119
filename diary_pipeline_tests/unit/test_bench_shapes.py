"""What the transcription benchmark listens to is what it says; its stand-in for large-v3-turbo works on any machine."""

import functools
from pathlib import Path

import numpy as np
import pytest

from benchmarks import gpu, transcription
from benchmarks.material import CUTS_S, LONGEST_S, SHORTEST_S, long_recordings, short_clips
from benchmarks.turbo_shaped import TURBO, Shape, limited, write_random_model
from diary_pipeline.audio.decode import RATE, decode
from diary_pipeline.transcription.devices.footprint import shape_of
from diary_pipeline.transcription.evaluation.reference_set import read_reference_set
from diary_pipeline_tests.recordings.faulty import DEMO
from diary_pipeline_tests.recordings.script import ENTRIES, Entry
from diary_pipeline_tests.weights import weights

SMALL = Shape(encoder_layers=2, decoder_layers=1, width=64, heads=4)
QUIET = 0.006
"""Twice what the room of the demo speech has between words."""


@functools.cache
def samples(name: str) -> np.ndarray:
    return np.concatenate(list(decode(DEMO / name)))


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.file_name)
def test_diaries_are_cut_where_nobody_speaks_once_between_each_two_sentences(entry: Entry) -> None:
    cuts = CUTS_S[entry.file_name]
    assert len(cuts) == len(entry.sentences) - 1
    for cut_s in cuts:
        around = samples(entry.file_name)[round((cut_s - 0.1) * RATE) : round((cut_s + 0.1) * RATE)]
        assert np.sqrt(np.mean(np.square(around))) < QUIET, cut_s


def test_clips_are_different_runs_of_whole_sentences_of_all_lengths(tmp_path: Path) -> None:
    references, failed = read_reference_set(short_clips(tmp_path / "set", 48))
    assert not failed
    assert len({reference.text for reference in references}) == 48
    assert all(reference.text.endswith((".", "?")) for reference in references)
    lengths_s = sorted(sum(map(len, decode(reference.audio))) / RATE for reference in references)
    assert SHORTEST_S <= lengths_s[0] < 4
    assert 16 < lengths_s[-1] <= LONGEST_S
    assert 6 < float(np.median(lengths_s)) < 10


def test_long_recordings_are_minutes_of_different_diaries(tmp_path: Path) -> None:
    references, _ = read_reference_set(long_recordings(tmp_path / "set", 2))
    assert references[0].text.startswith(ENTRIES[0].text)
    assert references[1].text.startswith(ENTRIES[5].text)
    assert all(sum(map(len, decode(reference.audio))) / RATE > 120 for reference in references)


@pytest.fixture(scope="module")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("random") / "model"
    return write_random_model(folder, SMALL, weights("base") / "tokenizer.json")


@pytest.mark.speech
def test_a_random_model_of_a_shape_loads_and_says_so_many_tokens_a_window(small_model: Path) -> None:
    from faster_whisper import WhisperModel
    from faster_whisper.tokenizer import Tokenizer

    model = limited(
        WhisperModel(str(small_model), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True), 12
    )
    assert (model.model.is_multilingual, model.model.n_mels) == (True, TURBO.mels)
    tokenizer = Tokenizer(model.hf_tokenizer, True, task="transcribe", language="yue")
    assert tokenizer.sot_sequence == [50_258, 50_358, 50_360], "the ids of large-v3"
    assert (tokenizer.no_timestamps, tokenizer.no_speech, tokenizer.eot) == (50_364, 50_363, 50_257)
    noise = np.random.default_rng(0).standard_normal((2, TURBO.mels, 3000), np.float32)
    encoded = model.encode(noise)
    prompts = [model.get_prompt(tokenizer, [], without_timestamps=True)] * 2
    found = model.model.generate(encoded, prompts, beam_size=5, max_length=model.max_length)
    said = [one.sequences_ids[0] for one in found]
    assert [len(tokens) for tokens in said] == [12, 12]
    assert max(map(max, said)) < tokenizer.eot, "text only"
    assert len(model.find_alignment(tokenizer, said, encoded, [3000, 3000])) == 2
    shape = shape_of(small_model / "model.bin")
    assert shape is not None
    assert (shape.width, shape.heads, shape.decoder_layers) == (64, 4, 1)


@pytest.mark.speech
def test_the_engine_runs_over_it_and_its_speed_is_told(small_model: Path, tmp_path: Path) -> None:
    clips = short_clips(tmp_path / "set", 3)
    found = gpu.throughput(gpu.shaped(small_model, "cpu", 4, tokens=12), clips, copies=2)
    assert found["figures"]["windows"] == 6
    assert found["audio_s"] > 6 * SHORTEST_S
    assert found["ended"] > found["began"]


def test_what_a_gpu_did_is_told_with_its_fleet() -> None:
    row = {
        "model": "a shape", "set": "short clips", "batch_size": 4, "processes": 2, "hours_an_hour": 99.0,
        "windows_a_second": 3.4, "utilisation": 0.875, "peak_gpu_mib": 1234.0, "fill": 1.0,
        "cpu_s_an_audio_hour": 30.0, "wer": None, "shares": [0.02, 0.4, 0.3, 0.1],
    }  # fmt: skip
    told = gpu.told({"rows": [row], "tokens_a_window": 12})
    assert "| a shape, 4, 2 | short clips | 99 | 3 | 88% | 1234 | 1.00 | 2%, 40%, 30%, 10% | 30 |  | 102 |" in told


def test_without_a_gpu_it_says_so() -> None:
    assert gpu.told({"not_measured": "no GPU: none"}) == "Not measured: no GPU: none."


def measured(cpu_s: float, text: str, **figures: float) -> dict[str, object]:
    return {
        "audio_s": 100.0,
        "wall_s": 10.0,
        "cpu_s": cpu_s,
        "peak_mib": 300.0,
        "figures": figures,
        "written": {"clip 00.m4a": text},
    }


def test_ratios_are_made_within_a_round_and_told_by_their_median(tmp_path: Path) -> None:
    file = short_clips(tmp_path / "set", 1)
    [said] = read_reference_set(file)[0]
    rounds = {
        "sequential": [measured(8.0, said.text), measured(80.0, said.text), measured(10.0, said.text)],
        "batched, words": [measured(6.0, said.text), measured(60.0, said.text), measured(6.0, said.text)],
        "ours": [measured(s, "", fill=0.5, encode_s=4.0) for s in (4.0, 40.0, 4.0)],
    }
    summaries = transcription._summaries(rounds, file)
    ours = summaries[-1]
    assert ours["to_sequential"] == [2.0, 2.0, 2.5]
    assert ours["to_batched"] == [1.5, 1.5, 1.5]
    assert ours["wer"] == 1.0
    assert ours["same_text_as_batched"] == 0
    table = transcription._table({"contenders": summaries})
    assert "| **ours** | 100.00 % (" in table
    assert "2.00 (2.00-2.50) | 1.50 (1.50-1.50) | 0.50 | 300 |" in table
    assert "encode 40 % (144)" in transcription._stages(rounds["ours"])
