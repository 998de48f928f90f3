"""The picture of an evaluation shows its counts where they belong."""

import io

import numpy as np
import pytest
from PIL import Image

from memory_vectors import unit_vectors
from simila.api.evaluation_picture import FULL, evaluation_picture
from simila.services.evaluation import HowToEvaluate, judge
from simila.services.example_classification import ByExamples
from simila.services.example_methods import Examples, NearestMean


def picture_of(classes, items_a_class=4, *, mixed=False):
    centres = np.repeat(unit_vectors(0, classes, 16), items_a_class, axis=0)
    item_classes = np.repeat(np.arange(classes), items_a_class)
    labels = tuple(f"class {number:04}" for number in range(classes))
    if mixed:
        item_classes = np.random.default_rng(0).permutation(item_classes)
    report = judge(Examples(labels, centres, item_classes), NearestMean(), HowToEvaluate(ByExamples()))
    picture = Image.open(io.BytesIO(evaluation_picture(report, "a title")))
    return np.asarray(picture.convert("RGB")), report


def full_cells(pixels):
    return int((pixels == FULL).all(axis=2).sum())


def test_a_perfect_classifier_fills_the_diagonal_alone():
    pixels, report = picture_of(4)
    assert report.evaluation.accuracy == 1
    assert full_cells(pixels) == pytest.approx(4 * 64 * 64, rel=0.1)
    spoilt, report = picture_of(4, mixed=True)
    assert report.evaluation.accuracy < 1
    assert full_cells(spoilt) < full_cells(pixels) / 2


@pytest.mark.parametrize("classes", [2, 40, 41, 800])
def test_any_number_of_classes_is_drawn_within_a_screen_or_so(classes):
    pixels, _ = picture_of(classes, items_a_class=2)
    height, width, _ = pixels.shape
    assert 900 <= width <= 1500
    assert height <= 1200
    assert full_cells(pixels) >= classes / 2


def test_labels_of_any_length_and_script_leave_room_for_the_matrix():
    labels = ("", "日本語", "x" * 500, "two\nlines")
    examples = Examples(labels, np.repeat(np.eye(4, dtype=np.float32), 2, axis=0), np.repeat(np.arange(4), 2))
    report = judge(examples, NearestMean(), HowToEvaluate(ByExamples()))
    picture = Image.open(io.BytesIO(evaluation_picture(report, "t" * 500)))
    assert picture.width < 1500
    assert full_cells(np.asarray(picture.convert("RGB"))) == pytest.approx(4 * 64 * 64, rel=0.1)
