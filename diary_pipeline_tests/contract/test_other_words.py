"""Questions in other words than the diary's find the right diary, with the real MiniLM."""

import pytest

from benchmarks.search_quality import QUESTIONS, place, references
from diary_pipeline.notes.embedding import weights
from diary_pipeline.notes.embedding.minilm import MiniLM
from diary_pipeline.settings import load_settings


@pytest.mark.slow
def test_most_questions_find_their_diary_by_meaning_and_few_by_words(tmp_path_factory: pytest.TempPathFactory) -> None:
    root = load_settings({}).model_dir
    if not weights.is_here(root):
        pytest.skip("the weights are not here: `diary models get minilm` fetches them")
    minilm = MiniLM(weights.find(root))
    live = references(tmp_path_factory.mktemp("references"), minilm)
    by_words = [place(live, None, asked, right) for asked, right in QUESTIONS.items()]
    with_meaning = [place(live, minilm, asked, right) for asked, right in QUESTIONS.items()]
    assert by_words.count(1) < 5, "they are questions in other words"
    assert with_meaning.count(1) >= 0.8 * len(QUESTIONS)
