"""How well class means classify, and whether scikit-learn's classifier of the same name says the same."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from class_folders import ClassFolders, Photograph
from in_process import Services, photograph_vectors
from sklearn.neighbors import NearestCentroid

from simila.classifiers.linear_scorer import nearest_mean_scorer
from simila.classifiers.prototypes import class_means
from simila.domain.vectors import Float32
from simila_models.progress import Progress

EXAMPLES_A_CLASS = (1, 5, 20)


@dataclass(frozen=True)
class LabelledVectors:
    """Vectors `float32 [n, d], unit length` with the class of each."""

    vectors: Float32
    labels: tuple[str, ...]

    def first_of_each_class(self, examples: int) -> "LabelledVectors":
        taken = [
            position
            for label in sorted(set(self.labels))
            for position in np.flatnonzero(np.asarray(self.labels) == label)[:examples]
        ]
        return LabelledVectors(self.vectors[taken], tuple(self.labels[position] for position in taken))


@dataclass(frozen=True)
class NearestMeanFigure:
    """Accuracy on test of the means of the first `examples_a_class` photographs of train."""

    encoder: str
    examples_a_class: int
    accuracy: float
    differing_from_scikit_learn: int


async def measure_nearest_mean(
    services: Services, encoder_name: str, photographs: ClassFolders, progress: Progress
) -> list[NearestMeanFigure]:
    """Score means of 1, 5, 20 and all examples a class, as far as there are so many."""
    train, test = [
        LabelledVectors(
            await photograph_vectors(
                services, encoder_name, split, progress, description=f"{encoder_name}: {name} photographs"
            ),
            tuple(photograph.label for photograph in split),
        )
        for name, split in (("train", photographs.train), ("test", photographs.test))
    ]
    return [
        nearest_mean_figure(encoder_name, examples, train, test) for examples in _examples_a_class(photographs.train)
    ]


def nearest_mean_figure(
    encoder_name: str, examples_a_class: int, train: LabelledVectors, test: LabelledVectors
) -> NearestMeanFigure:
    """Classify the test vectors by Simila's rule and by scikit-learn's, and count."""
    examples = train.first_of_each_class(examples_a_class)
    means = class_means(examples.vectors, examples.labels)
    scores = nearest_mean_scorer(means).scores(test.vectors)
    predicted = np.asarray(means.labels)[scores.argmax(axis=1)]
    scikit_learn = np.asarray(_scikit_learn_predictions(examples, test.vectors))
    return NearestMeanFigure(
        encoder=encoder_name,
        examples_a_class=examples_a_class,
        accuracy=float(np.mean(predicted == np.asarray(test.labels))),
        differing_from_scikit_learn=int(np.sum(predicted != scikit_learn)),
    )


def _scikit_learn_predictions(examples: LabelledVectors, vectors: Float32) -> list[str]:
    classifier = NearestCentroid()
    # It also computes the spread within the classes, which a single example does not have and which is not used here.
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.filterwarnings("ignore", message="self.within_class_std_dev_ has at least 1 zero standard deviation")
        classifier.fit(examples.vectors.astype(np.float64), examples.labels)
    predicted: list[str] = classifier.predict(vectors.astype(np.float64)).tolist()
    return predicted


def _examples_a_class(photographs: Sequence[Photograph]) -> list[int]:
    labels = [photograph.label for photograph in photographs]
    largest = max(labels.count(label) for label in set(labels))
    return [*(examples for examples in EXAMPLES_A_CLASS if examples < largest), largest]
