import asyncio

import numpy as np
import pytest
from scipy.special import expit, softmax

from simila.domain.errors import CannotServe, InvalidInput, InvalidLabels, LimitExceeded, UnknownEncoder
from simila.domain.inputs import ImageInput, TextInput
from simila.services.decisions import DecisionRules
from simila.services.embedding import EmbeddingService
from simila.services.label_scorers import LabelScorers, PrototypeCache
from simila.services.label_sets import Classes
from simila.services.prompt_checks import PromptLimits
from simila.services.zero_shot import ZeroShotService, own_activation
from tolerances import FLOAT64_VALUES
from unit.services.word_encoders import TEXT, ZERO_SHOT, direction, manifest_of

CAT, DOG, BIRD = "cat", "dog", "bird"
PHOTO = ImageInput(b"photo")


@pytest.fixture
def make_service(pool):
    def make(cached_labels=100, max_labels=10, cache_bytes=10_000):
        limits = PromptLimits(max_labels, label_characters=100, prompt_characters=10_000)
        scorers = LabelScorers(
            EmbeddingService(pool), cached_labels=cached_labels, cache_bytes=cache_bytes, limits=limits
        )
        return ZeroShotService(pool, scorers, most_predictions=1000)

    return make


def classify(service, encoder, inputs, labels, **options):
    return asyncio.run(service.classify(encoder, inputs, Classes(labels), **options))


def prototype(label, templates=("{}", "a photo of a {}")):
    mean = np.mean([direction(template.replace("{}", label)) for template in templates], axis=0)
    return mean / np.linalg.norm(mean)


def test_labels_are_ranked_by_the_cosine_to_the_mean_of_their_prompts(make_service):
    labels = [CAT, DOG, BIRD]
    classified = classify(make_service(), "words", [PHOTO, TextInput("four")], labels)
    for vector, predictions in zip([direction(b"photo"), direction("four")], classified.predictions, strict=True):
        cosines = np.array([vector @ prototype(label) for label in labels])
        scores = softmax(10 * cosines)
        expected = [labels[position] for position in np.argsort(-cosines)]
        assert [prediction.label for prediction in predictions] == expected
        for prediction in predictions:
            assert prediction.score == pytest.approx(scores[labels.index(prediction.label)], abs=1e-5)
            assert prediction.cosine == pytest.approx(cosines[labels.index(prediction.label)], abs=1e-6)
    assert classified.tokens == 4, "prompts are not the caller's tokens"


def test_a_manifest_like_siglips_makes_probabilities_by_its_own_sigmoid_and_bias():
    rule = {**ZERO_SHOT, "scale": 112.0, "bias": -16.5, "activation": "sigmoid"}
    activation = own_activation(manifest_of("sigmoid", text=TEXT, zero_shot=rule))
    cosines = np.array([[0.05, 0.15, 0.2]])
    np.testing.assert_allclose(activation(cosines), expit(112 * cosines - 16.5), rtol=FLOAT64_VALUES)


def test_top_k_keeps_the_best(make_service):
    (every,) = classify(make_service(), "words", [PHOTO], [CAT, DOG, BIRD]).predictions
    (best,) = classify(make_service(), "words", [PHOTO], [CAT, DOG, BIRD], rules=DecisionRules(top_k=2)).predictions
    assert list(best) == list(every)[:2]


def test_labels_seen_before_are_not_embedded_again(make_service, tower):
    service = make_service()
    first = classify(service, "words", [PHOTO], [CAT, DOG])
    assert sorted(map(str, tower.seen)) == ["a photo of a cat", "a photo of a dog", "b'photo'", "cat", "dog"]
    tower.seen.clear()
    again = classify(service, "words", [PHOTO], [CAT, DOG])
    assert tower.seen == [b"photo"]
    assert again == first


def test_only_new_labels_are_embedded_and_the_order_of_labels_is_kept(make_service, tower):
    service = make_service()
    classify(service, "words", [PHOTO], [CAT, DOG])
    tower.seen.clear()
    mixed = classify(service, "words", [PHOTO], [BIRD, DOG, CAT])
    assert sorted(map(str, tower.seen)) == ["a photo of a bird", "b'photo'", "bird"]
    assert mixed == classify(make_service(), "words", [PHOTO], [BIRD, DOG, CAT])


def test_other_templates_are_other_prototypes(make_service, tower):
    service = make_service()
    classify(service, "words", [PHOTO], [CAT, DOG])
    tower.seen.clear()
    classified = classify(service, "words", [PHOTO], [CAT, DOG], templates=["one {}"])
    assert sorted(map(str, tower.seen)) == ["b'photo'", "one cat", "one dog"]
    cosines = {prediction.label: prediction.cosine for prediction in classified.predictions[0]}
    assert cosines[CAT] == pytest.approx(direction(b"photo") @ prototype(CAT, ["one {}"]), abs=1e-6)


def test_without_a_cache_everything_is_embedded_each_time(make_service, tower):
    service = make_service(cached_labels=0, cache_bytes=0)
    first = classify(service, "words", [PHOTO], [CAT, DOG])
    tower.seen.clear()
    assert classify(service, "words", [PHOTO], [CAT, DOG]) == first
    assert len(tower.seen) == 5


def test_a_prompt_that_cannot_be_embedded_is_named_and_not_cached(make_service, tower):
    service = make_service()
    tower.bad = {DOG}
    with pytest.raises(InvalidInput) as refused:
        classify(service, "words", [PHOTO], [CAT, DOG])
    assert (refused.value.message, refused.value.param) == ("prompts[2]: cannot embed 'dog'", "prompts[2]")
    tower.bad = set()
    assert classify(service, "words", [PHOTO], [CAT, DOG]) == classify(make_service(), "words", [PHOTO], [CAT, DOG])


def test_an_input_that_cannot_be_embedded_is_named(make_service, tower):
    tower.bad = {"bad"}
    with pytest.raises(InvalidInput) as refused:
        classify(make_service(), "words", [TextInput("good"), TextInput("bad")], [CAT, DOG])
    assert (refused.value.message, refused.value.param) == ("input[1]: cannot embed 'bad'", "input[1]")


@pytest.mark.parametrize(
    ("encoder", "labels", "options", "error", "message"),
    [
        ("resnet", [CAT, DOG], {}, UnknownEncoder, "unknown encoder 'resnet'; served here: words, pictures"),
        (
            "pictures",
            [CAT, DOG],
            {},
            CannotServe,
            "encoder pictures has no text tower, so it cannot classify by label names",
        ),
        ("words", [CAT], {}, InvalidLabels, "classification needs at least 2 labels, got 1"),
        (
            "words",
            list("abcdefghijk"),
            {},
            LimitExceeded,
            "11 labels are more than the limit of 10 (SIMILA_LIMITS__MAX_LABELS)",
        ),
        ("words", [CAT, DOG], {"templates": []}, InvalidInput, "at least one prompt template is needed"),
    ],
    ids=["encoder", "tower", "few", "many", "templates"],
)
def test_a_request_that_is_refused_costs_nothing(make_service, tower, encoder, labels, options, error, message):
    with pytest.raises(error) as refused:
        classify(make_service(), encoder, [PHOTO], labels, **options)
    assert refused.value.message == message
    assert tower.seen == []


def test_the_least_recently_used_prototypes_go_first():
    cache = PrototypeCache(2)
    vectors = {label: direction(label) for label in (CAT, DOG, BIRD)}
    cache.put("f", ("{}",), (CAT,), vectors[CAT])
    cache.put("f", ("{}",), (DOG,), vectors[DOG])
    assert cache.get("f", ("{}",), (CAT,)) is vectors[CAT]
    cache.put("f", ("{}",), (BIRD,), vectors[BIRD])
    assert cache.get("f", ("{}",), (DOG,)) is None
    assert cache.get("f", ("{}",), (CAT,)) is vectors[CAT]
    assert cache.get("f", ("{}",), (BIRD,)) is vectors[BIRD]


def test_a_prototype_belongs_to_its_fingerprint_and_templates():
    cache = PrototypeCache(9)
    cache.put("f", ("{}",), (CAT,), direction(CAT))
    assert cache.get("g", ("{}",), (CAT,)) is None
    assert cache.get("f", ("a {}",), (CAT,)) is None
