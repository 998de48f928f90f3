import asyncio
from dataclasses import replace

import numpy as np
import pytest

from simila.domain.errors import CannotServe, FingerprintMismatch, NotReady, UnknownClassifier
from simila.domain.inputs import TextInput, VectorInput
from simila.services.classifiers import STOPPED, ClassifierService
from simila.services.decisions import DecisionRules
from simila.services.embedding import EmbeddingService
from simila.services.label_scorers import LabelScorers
from simila.services.prompt_checks import PromptLimits
from simila.services.training import TrainingPlan, TrainingService
from simila.services.training_jobs import TrainingJobs
from simila.storage.classifier_files import ClassifierFiles
from unit.services.word_encoders import DIMENSION, direction

SOURCES = [TextInput("cat"), TextInput("kitten"), TextInput("dog")]
LABELS = ["cat", "cat", "dog"]


@pytest.fixture
def classifiers(pool, tmp_path):
    return ClassifierService(pool, ClassifierFiles(tmp_path / "classifiers"), most_predictions=100)


@pytest.fixture
def jobs(classifiers):
    return TrainingJobs(classifiers)


@pytest.fixture
def training(pool, catalogue, classifiers, jobs):
    limits = PromptLimits(labels=20, label_characters=100, prompt_characters=1000)
    scorers = LabelScorers(EmbeddingService(pool), cached_labels=10, cache_bytes=10_000, limits=limits)
    return TrainingService(pool, catalogue, classifiers, scorers, jobs, label_characters=100)


def restarted(pool, tmp_path):
    return ClassifierService(pool, ClassifierFiles(tmp_path / "classifiers"), most_predictions=100)


def test_means_of_embedded_texts_classify_at_once(training, classifiers):
    async def learn_and_ask():
        trained = await training.train("words", SOURCES, LABELS, TrainingPlan())
        classifier_id = trained.state.record.id
        return trained, await classifiers.classify(classifier_id, [TextInput("dog")], DecisionRules())

    trained, classified = asyncio.run(learn_and_ask())
    assert (trained.num_samples, trained.tokens, trained.state.record.labels) == (3, 12, ("cat", "dog"))
    best, other = classified.predictions[0]
    mean = (direction("cat") + direction("kitten")) / 2
    assert (best.label, best.cosine) == ("dog", pytest.approx(1, abs=1e-6))
    assert other.cosine == pytest.approx(direction("dog") @ mean / np.linalg.norm(mean), abs=1e-6)


def test_a_classifier_that_is_deleted_while_it_is_trained_is_not_kept(training, classifiers, jobs):
    async def learn_and_delete():
        trained = await training.train("words", SOURCES, LABELS, TrainingPlan("ridge"))
        await training.delete(trained.state.record.id)
        await asyncio.gather(*jobs._tasks)

    asyncio.run(learn_and_delete())
    assert dict(classifiers.all()) == {}


def test_a_classifier_that_was_trained_when_the_server_stopped_is_failed(pool, training, classifiers, jobs, tmp_path):
    async def learn_and_stop():
        trained = await training.train("words", SOURCES, LABELS, TrainingPlan("ridge"))
        with pytest.raises(NotReady, match="is being trained"):
            await classifiers.classify(trained.state.record.id, [], DecisionRules())
        await jobs.close()
        return trained.state.record.id

    classifier_id = asyncio.run(learn_and_stop())
    found = restarted(pool, tmp_path)
    assert (found.get(classifier_id).record.state, found.get(classifier_id).record.error) == ("failed", STOPPED)
    with pytest.raises(CannotServe, match="could not be trained: the server stopped"):
        asyncio.run(found.classify(classifier_id, [], DecisionRules()))


def test_an_encoder_that_has_changed_reads_nothing_for_a_classifier_and_vectors_still_serve(training, classifiers):
    async def ask_after_a_change():
        trained = await training.train("words", SOURCES, LABELS, TrainingPlan())
        record = trained.state.record
        await classifiers.keep(replace(record, fingerprint="f" * 64), await classifiers.arrays(record))
        given = VectorInput(direction("dog"))
        served = await classifiers.classify(record.id, [given], DecisionRules())
        with pytest.raises(FingerprintMismatch, match="another revision of words"):
            await classifiers.classify(record.id, [TextInput("dog")], DecisionRules())
        return served

    assert asyncio.run(ask_after_a_change()).predictions[0].labels[0] == "dog"


def test_what_is_deleted_is_not_found(training, classifiers, pool, tmp_path):
    async def learn_and_delete():
        trained = await training.train(
            "words", [VectorInput(np.eye(DIMENSION)[n]) for n in range(3)], LABELS, TrainingPlan()
        )
        await training.delete(trained.state.record.id)
        return trained.state.record.id

    classifier_id = asyncio.run(learn_and_delete())
    for service in (classifiers, restarted(pool, tmp_path)):
        with pytest.raises(UnknownClassifier):
            service.get(classifier_id)
