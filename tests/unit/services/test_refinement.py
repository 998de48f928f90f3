import numpy as np
import pytest

from memory_vectors import unit_vectors
from simila.classifiers.activations import Activation
from simila.classifiers.prototypes import Prototypes
from simila.domain.errors import LimitExceeded, NoExamples
from simila.services import refinement
from simila.services.learned_models import class_model, complete_options
from simila.services.refinement import REFINEMENTS, Start, refined
from simila.storage.classifier_files import ClassifierRecord

SIGMOID = Activation(scale=12.0, bias=-3.0, kind="sigmoid")
START = Start(Prototypes(("a", "b"), unit_vectors(0, 2, 6)), SIGMOID)
ITEMS = unit_vectors(1, 20, 6)


@pytest.mark.parametrize("method", REFINEMENTS)
def test_a_refined_classifier_keeps_how_its_encoder_makes_probabilities(method):
    options = complete_options(method, {})
    found = refined(method, ITEMS, [None] * 20, START, options)
    record = ClassifierRecord("0a", None, method, "e", "f", 6, "", "", "ready", labels=found.labels, options=options)
    model = class_model(record, found.arrays)
    logits = 12 * ITEMS.astype(np.float64) @ found.arrays["weights"].T - 3
    np.testing.assert_allclose(model.scored(ITEMS).probabilities, 1 / (1 + np.exp(-logits)), rtol=1e-6)
    assert (model.is_exclusive, found.figures) == (False, None)


def test_items_of_other_labels_do_not_judge():
    labels = ["a"] * 3 + ["b"] * 4 + ["elsewhere"] * 5 + [None] * 8
    figures = refined("pseudo_labels", ITEMS, labels, START, complete_options("pseudo_labels", {})).figures
    right = (ITEMS[:7] @ START.prototypes.vectors.T).argmax(axis=1) == [0] * 3 + [1] * 4
    assert (figures.judged_items, figures.accuracy_before) == (7, pytest.approx(right.mean()))


@pytest.mark.parametrize(("limit", "method"), [("MOST_SCORES", "keywords"), ("MOST_PRODUCTS", "label_propagation")])
def test_more_than_fits_is_refused(monkeypatch, limit, method):
    monkeypatch.setattr(refinement, limit, 39)
    with pytest.raises(LimitExceeded, match="20 items and 2 classes are more than one refinement takes"):
        refined(method, ITEMS, [None] * 20, START, complete_options(method, {}))


def test_one_item_has_no_neighbours_to_learn_from():
    with pytest.raises(NoExamples, match="1 items are too few"):
        refined("label_propagation", ITEMS[:1], [None], START, complete_options("label_propagation", {}))
