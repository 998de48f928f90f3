import asyncio

import numpy as np
import pytest

from simila.classifiers.linear_scorer import NEAREST_MEAN_PRECISION
from simila.domain.errors import NoExamples, NotReady
from simila.domain.inputs import TextInput
from simila.services.collections import CollectionOptions
from simila.services.decisions import DecisionRules
from simila.services.embedding import EmbeddingService
from simila.services.example_classification import ExampleClassificationService
from simila.services.example_models import ExampleModels
from simila.services.item_checks import NewItem
from simila.services.label_scorers import LabelScorers
from simila.services.prompt_checks import PromptLimits
from simila.storage.item_writes import Delete
from unit.services.word_encoders import direction


@pytest.fixture
def service(pool, catalogue, collections):  # noqa: ARG001 - the collection is to be there
    limits = PromptLimits(labels=20, label_characters=100, prompt_characters=10_000)
    scorers = LabelScorers(EmbeddingService(pool), cached_labels=100, cache_bytes=10**6, limits=limits)
    return ExampleClassificationService(pool, catalogue, ExampleModels(), scorers, most_predictions=50)


def item(word, label=None):
    return NewItem(word, TextInput(word), label)


def run(coroutine):
    return asyncio.run(coroutine)


def expected_predictions(examples, vector):
    """Nearest mean, written as a loop: label, probability and cosine, the nearest first."""
    means = {
        label: np.mean([direction(w) for w in words], axis=0, dtype=np.float64) for label, words in examples.items()
    }
    weights = {k: np.exp(-NEAREST_MEAN_PRECISION / 2 * np.sum((vector - mean) ** 2)) for k, mean in means.items()}
    return [
        (
            label,
            pytest.approx(weights[label] / sum(weights.values()), rel=1e-4),
            pytest.approx(vector @ means[label] / np.linalg.norm(means[label]), abs=1e-5),
        )
        for label in sorted(means, key=lambda label: -weights[label])
    ]


def predictions(service, source, **options):
    (row,) = run(service.classify("colours", [source], rules=DecisionRules(**options))).predictions
    return [(prediction.label, prediction.score, prediction.cosine) for prediction in row]


def test_classes_are_the_means_of_what_is_labelled_now(service, collections):
    warm, cold = [item(word, "warm") for word in ("red", "orange", "pink")], [item(word, "cold") for word in ("blue",)]
    run(collections.upsert("colours", [*warm, *cold, item("grey")]))
    vector, query = direction("a query"), TextInput("a query")
    examples = {"warm": ["red", "orange", "pink"], "cold": ["blue"]}
    assert predictions(service, query) == expected_predictions(examples, vector)
    run(collections.delete_item("colours", "orange"))
    examples["warm"].remove("orange")
    assert predictions(service, query) == expected_predictions(examples, vector)
    run(collections.upsert("colours", [item("pink", "cold")]))
    examples = {"warm": ["red"], "cold": ["blue", "pink"]}
    assert predictions(service, query) == expected_predictions(examples, vector)
    assert predictions(service, query, top_k=1) == expected_predictions(examples, vector)[:1]


def test_a_collection_made_again_has_forgotten_its_classes(service, collections):
    run(collections.upsert("colours", [item("red", "warm"), item("blue", "cold")]))
    predictions(service, TextInput("a query"))
    run(collections.drop("colours"))
    run(collections.create("colours", "words", CollectionOptions()))
    with pytest.raises(NoExamples):
        predictions(service, TextInput("a query"))
    run(collections.upsert("colours", [item("green", "fresh"), item("grey", "stale")]))
    assert predictions(service, TextInput("green"))[0][0] == "fresh"


def test_without_labels_there_is_nothing_to_learn_from(service, collections):
    run(collections.upsert("colours", [item("red")]))
    with pytest.raises(NoExamples, match=r"^collection colours has no labelled items to learn classes from$"):
        predictions(service, TextInput("a"))


def test_thresholds_are_fitted_for_the_classes_that_were_read(service, collections, monkeypatch):
    words = {"red": "warm", "pink": "warm", "blue": "cold", "teal": "cold", "grey": "dull", "dun": "dull"}
    run(collections.upsert("colours", [item(word, label) for word, label in words.items()]))
    model_of = service._model

    def then_deleted(collection, *rest):
        model = model_of(collection, *rest)
        collection.write(Delete(["grey", "dun"])).result()
        return model

    monkeypatch.setattr(service, "_model", then_deleted)
    with pytest.raises(NotReady, match="changed while this was computed; send this again"):
        run(service.classify("colours", [TextInput("red")], fit_thresholds=True))
    (decision,) = run(service.classify("colours", [TextInput("red")], fit_thresholds=True)).decisions
    assert decision.prediction == "warm"
