"""What every embedder promises, shown by the real MiniLM and by the real OpenAI SDK against a server on loopback."""

from collections.abc import Iterator

import numpy as np
import pytest

from diary_pipeline.catalogue.search_meaning import Embedder
from diary_pipeline.core.errors import ServiceMissing
from diary_pipeline.notes.embedding import weights
from diary_pipeline.notes.embedding.minilm import MiniLM
from diary_pipeline.notes.embedding.openai_compatible import TOGETHER, OpenAICompatibleEmbedder
from diary_pipeline.settings import load_settings
from diary_pipeline_tests.embedding_server import EmbeddingServer, embedding_server

TEXTS = ["I walked by the river.", "Bread", "", "Ein Spaziergang am Fluss. \N{GRINNING FACE}", "word " * 1_000]


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    """A server that answers well unless a test scripts it."""
    with embedding_server() as running:
        yield running


@pytest.fixture(scope="module")
def minilm() -> MiniLM:
    """The real model, where somebody has fetched it."""
    root = load_settings({}).model_dir
    if not weights.is_here(root):
        pytest.skip("the weights are not here: `diary models get minilm` fetches them")
    return MiniLM(weights.find(root))


@pytest.fixture(params=["minilm", "openai-compatible"])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    """Each implementation in turn."""
    if request.param == "minilm":
        return request.getfixturevalue("minilm")  # type: ignore[no-any-return]
    return OpenAICompatibleEmbedder(request.getfixturevalue("server").url, "made-up")


def test_each_text_has_a_vector_of_length_1_whatever_stands_beside_it(embedder: Embedder) -> None:
    together = embedder.embed(TEXTS)
    assert together.shape[0] == len(TEXTS)
    assert together.dtype == np.float32
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    alone = np.concatenate([embedder.embed([text]) for text in TEXTS])
    assert np.allclose(together, alone, atol=1e-5)


def test_of_nothing_there_are_no_vectors(embedder: Embedder) -> None:
    assert len(embedder.embed([])) == 0


def test_what_it_is_made_with_is_told(embedder: Embedder) -> None:
    assert embedder.made_with
    assert 0 <= embedder.least_similarity < 1


def test_minilm_gives_the_vectors_that_sentence_transformers_gives(minilm: MiniLM) -> None:
    vectors = minilm.embed(["This is an example sentence", "Each sentence is converted"])
    # as sentence-transformers prints them for its own example
    assert np.allclose(vectors[0, :6], [0.0676569, 0.0634959, 0.0487131, 0.0793050, 0.0374480, 0.0026528], atol=2e-6)
    assert np.allclose(vectors[1, :6], [0.0864386, 0.1027626, 0.0053946, 0.0020444, -0.0099634, 0.0253855], atol=2e-6)


def test_minilm_reads_word_pieces_as_bert_does(minilm: MiniLM) -> None:
    read = minilm._tokenizer
    assert read.encode("This is an example sentence").ids == [101, 2023, 2003, 2019, 2742, 6251, 102]
    assert read.encode("Embeddings").tokens == ["[CLS]", "em", "##bed", "##ding", "##s", "[SEP]"]


def test_minilm_tells_a_paraphrase_from_something_else(minilm: MiniLM) -> None:
    asked, same, other = minilm.embed(["What did I cook?", "I made a stew with lentils.", "The bus was late again."])
    assert asked @ same > minilm.least_similarity > asked @ other


def test_many_texts_go_in_parts_with_the_key_and_the_model(server: EmbeddingServer) -> None:
    embedder = OpenAICompatibleEmbedder(server.url, "made-up", "secret-key")
    assert len(embedder.embed(["text"] * (TOGETHER + 1))) == TOGETHER + 1
    assert [len(asked["input"]) for asked in server.asked] == [TOGETHER, 1]
    assert {asked["model"] for asked in server.asked} == {"made-up"}
    assert set(server.keys) == {"Bearer secret-key"}


def test_the_environment_of_the_sdk_leads_nothing_astray(
    server: EmbeddingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "somebody's")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    OpenAICompatibleEmbedder(server.url, "made-up").embed(["text"])
    assert server.keys == ["Bearer none"]


ROW = {"object": "embedding", "index": 0, "embedding": [1.0, 0.0]}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, {"error": {"message": "no such key for: my diary"}}),
        (400, {"error": {"message": "too long: my diary"}}),
        (404, b"<html>my diary</html>"),
        (200, {"object": "list", "data": [], "model": "m"}),
        (200, {"object": "list", "data": [ROW, {**ROW, "index": 1}], "model": "m"}),
        (200, {"object": "list", "data": [{**ROW, "embedding": [0.0, 0.0]}], "model": "m"}),
        (200, {"object": "list", "data": None, "model": "m"}),
        (200, {"error": "overloaded: my diary"}),
    ],
)
def test_an_answer_without_vectors_is_told_without_a_word_of_it(
    server: EmbeddingServer, status: int, body: object
) -> None:
    server.script = [(status, body)] * 3
    with pytest.raises(ServiceMissing, match="DIARY_EMBEDDING_URL") as told:
        OpenAICompatibleEmbedder(server.url, "made-up", retries=0).embed(["my diary"])
    assert told.value.code == "embedder_failed"
    assert "my diary" not in told.value.message


def test_a_server_that_is_not_there_is_named() -> None:
    with pytest.raises(ServiceMissing, match=r"127\.0\.0\.1:9/v1"):
        OpenAICompatibleEmbedder("http://127.0.0.1:9/v1", "made-up", retries=0).embed(["text"])
