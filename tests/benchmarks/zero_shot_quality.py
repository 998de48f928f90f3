"""How well class names alone classify, and which scale makes the probabilities honest."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from class_folders import ClassFolders, Photograph, in_chunks
from in_process import Services

from simila.classifiers.activations import Activation
from simila.domain.manifest import ZeroShot
from simila.domain.vectors import Float64
from simila.services.label_sets import Classes
from simila_models.progress import Progress

SCALES = (2.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0)


@dataclass(frozen=True)
class ZeroShotAnswers:
    """What the service said of one split. `targets` are the positions of the true labels."""

    cosines: Float64  # [n, classes]
    targets: tuple[int, ...]
    accuracy: float


@dataclass(frozen=True)
class ScaleFigure:
    """Mean negative log-likelihood of the true class, in nats, at one scale."""

    scale: float
    train_nats: float
    test_nats: float


@dataclass(frozen=True)
class Calibration:
    """`best_scale` is the one of `SCALES` and the manifest's that fits train best."""

    manifest_scale: float
    best_scale: float
    figures: tuple[ScaleFigure, ...]


@dataclass(frozen=True)
class ZeroShotFigures:
    """Accuracy with the manifest's own prompts, and what other scales would do to the probabilities."""

    encoder: str
    templates: tuple[str, ...]
    train_accuracy: float
    test_accuracy: float
    calibration: Calibration


async def measure_zero_shot(
    services: Services, encoder_name: str, photographs: ClassFolders, progress: Progress
) -> ZeroShotFigures:
    """Classify both splits by the names of the classes."""
    rule = services.pool.get(encoder_name).manifest.zero_shot
    assert rule
    train, test = [
        await zero_shot_answers(
            services,
            encoder_name,
            split,
            photographs.labels,
            progress,
            description=f"{encoder_name}: {name} photographs",
        )
        for name, split in (("train", photographs.train), ("test", photographs.test))
    ]
    return ZeroShotFigures(encoder_name, rule.templates, train.accuracy, test.accuracy, calibrate(rule, train, test))


async def zero_shot_answers(
    services: Services,
    encoder_name: str,
    photographs: Sequence[Photograph],
    labels: Sequence[str],
    progress: Progress,
    *,
    description: str,
) -> ZeroShotAnswers:
    """Classify photographs with the manifest's own prompts."""
    cosines, correct = [], 0
    for chunk in in_chunks(photographs, description, progress):
        inputs = [photograph.read() for photograph in chunk]
        classified = await services.zero_shot.classify(encoder_name, inputs, Classes(labels))
        for photograph, ranked in zip(chunk, classified.predictions, strict=True):
            correct += ranked.labels[0] == photograph.label
            by_label = {prediction.label: prediction.cosine for prediction in ranked}
            cosines.append([by_label[label] for label in labels])
    targets = tuple(labels.index(photograph.label) for photograph in photographs)
    return ZeroShotAnswers(np.asarray(cosines), targets, correct / len(photographs))


def calibrate(rule: ZeroShot, train: ZeroShotAnswers, test: ZeroShotAnswers) -> Calibration:
    """Compare scales on train, beside what they give on test (temperature scaling, Guo et al. 2017)."""
    figures = tuple(
        ScaleFigure(scale, *(_mean_negative_log_likelihood_nats(rule, scale, answers) for answers in (train, test)))
        for scale in sorted({*SCALES, rule.scale})
    )
    best = min(figures, key=lambda figure: figure.train_nats)
    return Calibration(rule.scale, best.scale, figures)


def _mean_negative_log_likelihood_nats(rule: ZeroShot, scale: float, answers: ZeroShotAnswers) -> float:
    probabilities = Activation(scale, rule.bias, rule.activation)(answers.cosines)
    return float(-np.log(probabilities[np.arange(len(answers.targets)), answers.targets]).mean())
