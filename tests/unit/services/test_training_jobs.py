"""A training and a forgetting that meet."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from simila.domain.errors import StaleClassifier
from simila.services.classifiers import ClassifierService
from simila.services.decisions import DecisionRules
from simila.services.training_jobs import SEQUENCES, ErasedClassifiers, TrainingJobs
from simila.storage.classifier_files import ClassifierFiles, ClassifierRecord
from simila.storage.item_writes import Delete, UpsertArrays
from unit.services.word_encoders import DIMENSION

RECORD = ClassifierRecord(
    "0a", None, "ridge", "words", "f" * 64, DIMENSION, "2026", "2026", "training", collection="colours"
)


@pytest.fixture
def classifiers(pool, tmp_path):
    return ClassifierService(pool, ClassifierFiles(tmp_path / "classifiers"), most_predictions=100)


@pytest.fixture
def colours(collections, catalogue):  # noqa: ARG001 - it makes the collection
    collection = catalogue.get("colours")
    collection.write(UpsertArrays(["a", "b"], np.eye(2, DIMENSION, dtype=np.float32), ["x", "y"])).result()
    return collection


def learned(collection):
    """A classifier of all that the collection holds now."""
    fitted = replace(RECORD, state="ready", labels=("x", "y"), store_id=collection.spec.store_id)
    arrays = {"weights": np.eye(2, DIMENSION), "biases": np.zeros(2), "activation": np.array([1.0, 0.0, 0.0])}
    return fitted, {**arrays, SEQUENCES: collection.reader.sequences()}


def test_what_is_forgotten_while_it_is_learned_is_not_kept(classifiers, colours):
    jobs, readings = TrainingJobs(classifiers), []

    async def train_and_forget():
        loop = asyncio.get_running_loop()

        def fit(_):
            result = learned(colours)
            readings.append(result[1][SEQUENCES].tolist())
            if len(readings) == 1:
                colours.write(Delete(["a"])).result()
                asyncio.run_coroutine_threadsafe(jobs.forget(colours), loop).result()
            return result

        await classifiers.keep(RECORD, {})
        jobs.begin(RECORD, 2, fit)
        await asyncio.gather(*jobs._tasks)
        return await classifiers.arrays(classifiers.get("0a").record)

    arrays = asyncio.run(train_and_forget())
    assert readings == [[1, 2], [2]]
    assert arrays[SEQUENCES].tolist() == [2]


def test_only_what_learned_from_it_goes_and_its_answers_with_it(classifiers, colours, tmp_path):
    jobs = TrainingJobs(classifiers)

    async def forget_and_ask():
        await classifiers.keep(*learned(colours))
        other, arrays = learned(colours)
        await classifiers.keep(replace(other, id="0b"), {**arrays, SEQUENCES: np.array([2])})
        await classifiers.keep(replace(other, id="0c", collection="elsewhere"), arrays)
        assert (await jobs.forget(colours)).stale == []
        await classifiers.model(classifiers.get("0a").record)
        colours.write(Delete(["a"])).result()
        stale = (await jobs.forget(colours)).stale
        with pytest.raises(StaleClassifier, match="classifier 0a is gone: items of collection colours that it learned"):
            await classifiers.classify("0a", [], DecisionRules())
        return stale

    assert asyncio.run(forget_and_ask()) == ["0a"]
    assert [path.name for path in (tmp_path / "classifiers" / "0a").iterdir()] == ["classifier.json"]
    assert classifiers.get("0a").record.labels == ()


def test_what_learned_from_an_earlier_collection_of_the_name_goes_too(classifiers, colours):
    async def keep_and_forget():
        earlier, arrays = learned(colours)
        await classifiers.keep(replace(earlier, store_id="of a collection that was dropped"), arrays)
        return (await TrainingJobs(classifiers).forget(colours)).stale

    assert asyncio.run(keep_and_forget()) == ["0a"]


def test_a_classifier_whose_files_cannot_be_read_goes_too(classifiers, colours, tmp_path):
    async def damage_and_forget():
        await classifiers.keep(*learned(colours))
        next((tmp_path / "classifiers" / "0a").glob("sequences-*")).write_bytes(b"?")
        return (await TrainingJobs(classifiers).forget(colours)).stale

    assert asyncio.run(damage_and_forget()) == ["0a"]


def test_one_whose_record_cannot_be_read_is_told_of_and_left(pool, classifiers, colours, tmp_path):
    asyncio.run(classifiers.keep(*learned(colours)))
    record = tmp_path / "classifiers" / "0a" / "classifier.json"
    record.write_bytes(b"?")
    restarted = ClassifierService(pool, ClassifierFiles(tmp_path / "classifiers"), most_predictions=100)
    forgotten = asyncio.run(TrainingJobs(restarted).forget(colours))
    assert forgotten == ErasedClassifiers(stale=[], unreadable=["0a"])
    assert record.read_bytes() == b"?"
