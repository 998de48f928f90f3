"""Rough scores where they cannot matter, float64 where they can: the best are always those of float64."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_vectors import unit_vectors
from simila.classifiers import screening
from simila.classifiers.activations import Activation, softmax
from simila.classifiers.linear_scorer import LinearScorer
from simila.classifiers.screening import best_scores
from simila.domain.vectors import unit_rows

CLIP_TEXT = Path(__file__).parents[4] / "shared" / "data" / "clip-text" / "lvis_v1_clip_a+cname.npy"


CODED, FLOAT32 = 0, 2**62


@pytest.fixture(params=[CODED, FLOAT32], ids=["coded", "float32"])
def screens_everything(request, monkeypatch):
    monkeypatch.setattr(screening, "FEWEST_WEIGHTS_TO_SCREEN", 0)
    monkeypatch.setattr(screening, "FEWEST_WEIGHTS_TO_CODE", request.param)
    monkeypatch.setattr(screening, "FEWEST_TO_LOOK_AT_TWICE", 1)
    monkeypatch.setattr(screening, "_CLASSES_A_BLOCK", 5)


def scorer_of(weights, biases=None):
    labels = tuple(map(str, range(len(weights))))
    return LinearScorer(labels, weights, np.zeros(len(weights)) if biases is None else biases)


def crowded(seed, classes, dimension, spread):
    """Weights so close to each other that float32 cannot put them in order."""
    random = np.random.default_rng(seed)
    centre = unit_vectors(seed, 1, dimension).astype(np.float64)
    return centre + spread * random.normal(size=(classes, dimension))


@given(
    seed=st.integers(0, 2**32 - 1),
    spread=st.sampled_from([0.0, 1e-9, 1e-7, 1e-4, 1.0]),
    precision=st.sampled_from([np.float32, np.float64]),
    top_k=st.integers(1, 40),
    has_biases=st.booleans(),
    fewest_to_code=st.sampled_from([CODED, FLOAT32]),
)
def test_the_best_are_those_of_float64(seed, spread, precision, top_k, has_biases, fewest_to_code):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(screening, "FEWEST_WEIGHTS_TO_SCREEN", 0)
        patch.setattr(screening, "FEWEST_WEIGHTS_TO_CODE", fewest_to_code)
        patch.setattr(screening, "FEWEST_TO_LOOK_AT_TWICE", 1)
        patch.setattr(screening, "_CLASSES_A_BLOCK", 7)
        patch.setattr(screening, "_CLASSES_A_SECOND_LOOK", 3)
        weights = crowded(seed, 80, 33, spread).astype(precision)
        biases = 3 + spread * np.random.default_rng(seed).normal(size=80) if has_biases else np.zeros(80)
        vectors = unit_vectors(seed + 1, 4, 33)
        best = best_scores(scorer_of(weights, biases), vectors, top_k)
    exact = (
        np.array([np.einsum("cd,d->c", weights.astype(np.float64), row.astype(np.float64)) for row in vectors]) + biases
    )
    expected = np.argsort(-exact, axis=1, kind="stable")[:, :top_k]
    assert best.columns.tolist() == expected.tolist()
    np.testing.assert_array_equal(best.scores, np.take_along_axis(exact, expected, axis=1))


def test_float32_alone_would_have_another_order():
    """The crowds above are real ones: without the second look the test would fail."""
    weights = crowded(0, 80, 33, 1e-9).astype(np.float64)
    vector = unit_vectors(1, 1, 33)
    assert (weights.astype(np.float32) @ vector[0]).argmax() != (weights @ vector[0].astype(np.float64)).argmax()


@pytest.mark.parametrize(("fewest_to_code", "bound"), [(CODED, 7e-3), (FLOAT32, 6e-5)])
def test_all_scores_are_within_the_bound(monkeypatch, fewest_to_code, bound):
    monkeypatch.setattr(screening, "FEWEST_WEIGHTS_TO_CODE", fewest_to_code)
    weights, vectors = 0.5 * unit_vectors(0, 500, 384), unit_vectors(1, 5, 384)
    scorer = scorer_of(weights, np.linspace(-2, 2, 500))
    rough = best_scores(scorer, vectors, 1).all_scores
    difference = np.abs(rough - scorer.scores(vectors))
    assert rough.dtype == np.float32
    assert 0 < difference.max() < bound


@pytest.mark.parametrize("scale", [8.0, 100.0])
def test_probabilities_of_coded_weights_are_float64s_to_a_thousandth(monkeypatch, scale):
    monkeypatch.setattr(screening, "FEWEST_WEIGHTS_TO_CODE", CODED)
    scorer, vectors, activation = scorer_of(unit_vectors(0, 5000, 128)), unit_vectors(1, 40, 128), Activation(scale)
    best = best_scores(scorer, vectors, 5)
    exact = np.take_along_axis(softmax(scale * scorer.scores(vectors)), best.columns, axis=1)
    np.testing.assert_allclose(activation.of_best(best.scores, best.columns, best.all_scores), exact, rtol=1e-3)


def test_vectors_of_many_dimensions_are_not_coded(monkeypatch):
    monkeypatch.setattr(screening, "FEWEST_WEIGHTS_TO_CODE", CODED)
    scorer = scorer_of(unit_vectors(0, 20, 2049))
    best_scores(scorer, unit_vectors(1, 1, 2049), 1)
    assert "coded_weights" not in vars(scorer)


@pytest.mark.usefixtures("screens_everything")
def test_equal_weights_have_equal_scores():
    weights = np.tile(unit_vectors(0, 1, 384), (101, 1))
    best = best_scores(scorer_of(weights), unit_vectors(1, 1, 384), 50)
    assert best.columns.tolist() == [list(range(50))]
    assert len(set(best.scores[0].tolist())) == 1


@pytest.mark.usefixtures("screens_everything")
def test_weights_past_the_range_of_float32_are_scored_in_float64():
    weights = unit_vectors(0, 100, 8) * np.float64(1e60)
    scorer, vectors = scorer_of(weights), unit_vectors(1, 2, 8)
    best = best_scores(scorer, vectors, 1)
    assert best.all_scores.tolist() == scorer.scores(vectors).tolist()
    assert best.columns[:, 0].tolist() == scorer.scores(vectors).argmax(axis=1).tolist()


@pytest.mark.parametrize("top_k", [None, 100, 51])
@pytest.mark.usefixtures("screens_everything")
def test_all_is_float64s_where_most_would_be_looked_at_twice(top_k):
    scorer, vectors = scorer_of(unit_vectors(0, 100, 8)), unit_vectors(1, 2, 8)
    best = best_scores(scorer, vectors, top_k)
    assert best.all_scores.tolist() == scorer.scores(vectors).tolist()
    expected = np.argsort(-best.all_scores, axis=1)[:, :top_k]
    assert best.columns.tolist() == expected.tolist()
    np.testing.assert_array_equal(best.scores, np.take_along_axis(best.all_scores, expected, axis=1))


@pytest.mark.usefixtures("screens_everything")
def test_no_vectors_have_no_best():
    assert best_scores(scorer_of(unit_vectors(0, 100, 8)), np.empty((0, 8), np.float32), 3).columns.shape == (0, 3)


@pytest.mark.skipif(not CLIP_TEXT.exists(), reason=f"there is no {CLIP_TEXT}")
@pytest.mark.usefixtures("screens_everything")
def test_with_clips_own_text_vectors_the_best_of_1203_labels_is_numpys_in_float64(monkeypatch):
    monkeypatch.setattr(screening, "_CLASSES_A_BLOCK", 500)
    labels = unit_rows(np.load(CLIP_TEXT).astype(np.float32))
    random = np.random.default_rng(0)
    between = unit_rows(labels[random.permutation(1203)] + labels + 1e-4 * unit_vectors(0, 1203, 512))
    for vectors in (labels, between, unit_vectors(1, 1000, 512)):
        expected = (vectors.astype(np.float64) @ labels.T.astype(np.float64)).argmax(axis=1)
        assert best_scores(scorer_of(labels), vectors, 1).columns[:, 0].tolist() == expected.tolist()
