import numpy as np
import pytest

from simila.domain.golden import GoldenSet, certify, read_golden_set, write_golden_images, write_golden_texts
from simila.domain.manifest import Modality

EAST, NORTH, SLANTED = [1.0, 0.0], [0.0, 1.0], [0.6, 0.8]


def vectors(*rows):
    return np.array(rows, dtype=np.float32)


@pytest.fixture
def golden():
    return GoldenSet(("a", "b", "c"), ("a", "b", "c"), vectors(EAST, NORTH, SLANTED))


def test_texts_come_back_as_they_were_written(tmp_path):
    texts = ["", "👍🏽 القطة 一只猫", "bell\x07 null\x00\r\n", "same", "x" * 10_000]
    written = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    write_golden_texts(tmp_path / "golden", texts, written)
    golden = read_golden_set(tmp_path / "golden", Modality.TEXT)
    assert golden.names == golden.inputs == tuple(texts)
    assert golden.vectors.tobytes() == written.tobytes()
    assert golden.vectors.dtype == np.float32


def test_images_come_back_as_they_were_written(tmp_path):
    images = {"b.png": b"\x89PNG", "a.jpg": b"\xff\xd8\x00"}
    write_golden_images(tmp_path / "golden", images, np.eye(2))
    golden = read_golden_set(tmp_path / "golden", Modality.IMAGE)
    assert golden.names == ("b.png", "a.jpg")
    assert golden.inputs == (b"\x89PNG", b"\xff\xd8\x00")
    assert golden.vectors.tolist() == [[1, 0], [0, 1]]
    assert golden.vectors.dtype == np.float32


def test_pickled_vectors_are_refused(tmp_path):
    write_golden_texts(tmp_path / "golden", ["a"], np.eye(1))
    np.save(tmp_path / "golden" / "vectors.npy", np.array([{"any": "object"}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        read_golden_set(tmp_path / "golden", Modality.TEXT)


def test_equal_vectors_hold(golden):
    certificate = certify(golden, golden.vectors.copy(), 0.9999)
    assert certificate.lowest_cosine == pytest.approx(1, abs=1e-6)
    assert certificate.holds
    assert certificate.floor == 0.9999


def test_the_lowest_cosine_decides(golden):
    certificate = certify(golden, vectors(EAST, SLANTED, SLANTED), 0.9)
    assert certificate.cosines == pytest.approx({"a": 1, "b": 0.8, "c": 1}, abs=1e-6)
    assert certificate.lowest_cosine == pytest.approx(0.8, abs=1e-6)
    assert not certificate.holds
    assert certify(golden, vectors(EAST, SLANTED, SLANTED), 0.79).holds


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_never_holds(golden, value):
    certificate = certify(golden, vectors(EAST, [0, value], SLANTED), 0.5)
    assert certificate.cosines["b"] == -1
    assert not certificate.holds


def test_a_row_too_few_is_an_error(golden):
    with pytest.raises(ValueError, match="n"):
        certify(golden, vectors(EAST, NORTH), 0.9)
