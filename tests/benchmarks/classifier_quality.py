"""How well each kind of classifier does on vectors: with few examples, under a shift, and before the unknown."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from class_folders import ClassFolders, Photograph, in_chunks
from in_process import Services, text_vectors
from nearest_mean_quality import LabelledVectors
from sklearn.datasets import load_digits

from simila.classifiers.activations import Activation
from simila.classifiers.blend import blended, example_weights
from simila.classifiers.class_sums import ClassSums
from simila.classifiers.evaluation import open_set_auroc
from simila.classifiers.linear_scorer import NEAREST_MEAN_ACTIVATION, cosine_scorer, nearest_mean_scorer
from simila.classifiers.prototypes import Prototypes, class_means, prompt_prototype
from simila.classifiers.prototypes import prompts as prompts_of
from simila.domain.inputs import View
from simila.domain.vectors import Float32, Float64, Int64, unit_rows
from simila.services.class_models import ClassModel, LinearModel
from simila.services.decisions import DecisionRules, decide
from simila.services.image_views import vectors_in_views
from simila.services.learned_models import class_model, complete_options, learned
from simila.services.refinement import Start, refined
from simila.services.zero_shot import own_activation
from simila.storage.classifier_files import ClassifierRecord, Method
from simila_models.progress import Progress

SHOTS = (1, 2, 4, 8, 16, 40)
METHODS: tuple[Method, ...] = ("nearest_mean", "knn", "ridge", "logistic")
DRAWS = 10
HELD_OUT_CLASSES = 2
STEPS = 5
VIEWS: tuple[View, ...] = ("plain", "flip", "top_left", "top_right", "bottom_left", "bottom_right")
UNLABELLED_METHODS: tuple[Method, ...] = ("pseudo_labels", "label_propagation")
FEW_EXAMPLES = 2
REFINEMENT_DRAWS = 5
SHIFT = 8  # the first half of the classes is so many times as frequent as the other


@dataclass(frozen=True)
class Split:
    """Vectors to learn from and to test on, and the prototypes of the classes' names if the encoder reads texts."""

    name: str
    train: LabelledVectors
    test: LabelledVectors
    texts: Prototypes | None = None
    activation: Activation = NEAREST_MEAN_ACTIVATION  # of the texts


@dataclass(frozen=True)
class ShotFigure:
    """Mean accuracy over draws of so many examples a class; None where a classifier does not apply."""

    split: str
    shots: int
    accuracies: Mapping[str, float | None]


@dataclass(frozen=True)
class Refinement:
    """Accuracy on test before and after prototypes moved to all of train and test without their labels."""

    method: Method
    start: str
    before: float
    after: float


@dataclass(frozen=True)
class RuleFigures:
    """`incremental` are the accuracies after each step, and `at_once` of all their classes learned together."""

    split: str
    plain: float
    views: float | None
    zero_shot: float | None
    shifted: float
    shifted_corrected: float
    auroc_logit: float | None
    auroc_neighbour: float | None
    incremental: tuple[float, ...]
    at_once: tuple[float, ...]
    refinements: tuple[Refinement, ...]


def digits_split() -> Split:
    """The digits of scikit-learn, 8 x 8 pixels as vectors; every third is for the test."""
    pixels, digits = load_digits(return_X_y=True)
    vectors = unit_rows((pixels - pixels.mean(axis=0)).astype(np.float32))
    labels = np.array([str(digit) for digit in digits])
    is_test = np.arange(len(labels)) % 3 == 0
    train, test = (LabelledVectors(vectors[rows], tuple(labels[rows].tolist())) for rows in (~is_test, is_test))
    return Split("digits, pixels", train, test)


def shot_figures(split: Split) -> list[ShotFigure]:
    """Learn from random draws of train and test on all of test."""
    random = np.random.default_rng(7)
    fewest = min(split.train.labels.count(label) for label in set(split.train.labels))
    figures = []
    for shots in (shots for shots in SHOTS if shots <= fewest):
        draws = [_drawn(split.train, shots, random) for _ in range(1 if shots == fewest else DRAWS)]
        accuracies: dict[str, float | None] = {
            method: float(np.mean([accuracy(trained(method, draw), split.test) for draw in draws]))
            for method in METHODS
        }
        accuracies["blend"] = (
            float(np.mean([accuracy(_blend(split.texts, draw), split.test) for draw in draws])) if split.texts else None
        )
        figures.append(ShotFigure(split.name, shots, accuracies))
    return figures


async def photograph_split(
    services: Services, encoder_name: str, photographs: ClassFolders, progress: Progress
) -> tuple[Split, LabelledVectors]:
    """Both splits under an encoder, and the test photographs again, each as the mean of its views."""
    train, test = [
        await _photographs(services, encoder_name, part, ("plain",), progress, f"{encoder_name}: {name} photographs")
        for name, part in (("train", photographs.train), ("test", photographs.test))
    ]
    seen = await _photographs(services, encoder_name, photographs.test, VIEWS, progress, f"{encoder_name}: views")
    rule = services.pool.get(encoder_name).manifest.zero_shot
    texts = None
    if rule:
        prompts = [prompt for label in photographs.labels for prompt in prompts_of(label, rule.templates)]
        vectors = await text_vectors(services, encoder_name, prompts, progress, description=f"{encoder_name}: prompts")
        by_label = vectors.reshape(len(photographs.labels), len(rule.templates), -1)
        texts = Prototypes(photographs.labels, np.stack([prompt_prototype(rows) for rows in by_label]))
    activation = own_activation(services.pool.get(encoder_name).manifest)
    return Split(f"clothing, {encoder_name}", train, test, texts, activation), seen


async def _photographs(
    services: Services,
    encoder_name: str,
    photographs: Sequence[Photograph],
    views: Sequence[View],
    progress: Progress,
    description: str,
) -> LabelledVectors:
    encoder = services.pool.get(encoder_name)
    parts = []
    for chunk in in_chunks(photographs, description, progress):
        images = [photograph.read() for photograph in chunk]
        parts.append((await vectors_in_views(lambda: encoder, encoder.manifest.dimension, images, views))[0])
    return LabelledVectors(np.concatenate(parts), tuple(photograph.label for photograph in photographs))


async def rule_figures(split: Split, seen: LabelledVectors | None = None) -> RuleFigures:
    """Learn from all of train, and see what the rules of decision are worth; `seen` is test as the mean of views."""
    shifted = _shifted(split.test)
    model = trained("logistic", split.train)
    corrected = await decide(model, DecisionRules(priors="estimate"), shifted.vectors, 0)
    answers = [decision.prediction for decision in corrected.decisions or ()]
    logit, neighbour = (_unknown_auroc(method, split) for method in ("nearest_mean", "knn"))
    incremental, at_once = _incremental(split)
    zero_shot = None
    if split.texts:
        zero_shot = accuracy(LinearModel(cosine_scorer(split.texts), NEAREST_MEAN_ACTIVATION), split.test)
    means = trained("nearest_mean", split.train)
    return RuleFigures(
        split=split.name,
        plain=accuracy(means, split.test),
        views=accuracy(means, seen) if seen else None,
        zero_shot=zero_shot,
        shifted=accuracy(model, shifted),
        shifted_corrected=float(np.mean(np.array(answers) == np.array(shifted.labels))),
        auroc_logit=logit,
        auroc_neighbour=neighbour,
        incremental=incremental,
        at_once=at_once,
        refinements=tuple(_refinements(split)),
    )


def trained(method: Method, examples: LabelledVectors) -> ClassModel:
    """What the server's training makes of examples."""
    options = complete_options(method, {})
    classes, arrays = learned(method, examples.vectors, examples.labels, options)
    record = ClassifierRecord("", None, method, "", "", 0, "", "", "ready", labels=classes, options=options)
    return class_model(record, arrays)


def accuracy(model: ClassModel, inputs: LabelledVectors) -> float:
    best = model.scored(inputs.vectors).scores.argmax(axis=1)
    return float(np.mean(np.array(model.labels)[best] == np.array(inputs.labels)))


def _drawn(examples: LabelledVectors, shots: int, random: np.random.Generator) -> LabelledVectors:
    return _rows(examples, _drawn_rows(examples, shots, random))


def _drawn_rows(examples: LabelledVectors, shots: int, random: np.random.Generator) -> Int64:
    labels = np.array(examples.labels)
    rows = [random.permutation(np.flatnonzero(labels == label))[:shots] for label in sorted(set(examples.labels))]
    return np.concatenate(rows)


def _rows(examples: LabelledVectors, rows: Sequence[int] | np.ndarray) -> LabelledVectors:
    return LabelledVectors(examples.vectors[rows], tuple(examples.labels[row] for row in rows))


def _blend(texts: Prototypes, examples: LabelledVectors) -> ClassModel:
    counts = np.array([examples.labels.count(label) for label in texts.labels])
    weights: Float64 = example_weights(counts)
    blend = blended(texts, class_means(examples.vectors, examples.labels), weights)
    return LinearModel(cosine_scorer(blend), NEAREST_MEAN_ACTIVATION)


def _refinements(split: Split) -> Iterator[Refinement]:
    """From the names of the classes, and from a few examples of each; the rest of train and test has no labels."""
    vectors = np.concatenate([split.train.vectors, split.test.vectors])
    unlabelled = [None] * len(vectors)
    if split.texts:
        start = Start(split.texts, split.activation)
        before = accuracy(LinearModel(cosine_scorer(split.texts), split.activation), split.test)
        for method in UNLABELLED_METHODS:
            yield Refinement(
                method, "names", before, accuracy(_refined(method, vectors, unlabelled, start), split.test)
            )
    random = np.random.default_rng(13)
    draws = [_drawn_rows(split.train, FEW_EXAMPLES, random) for _ in range(REFINEMENT_DRAWS)]
    before = float(np.mean([accuracy(trained("nearest_mean", _rows(split.train, rows)), split.test) for rows in draws]))
    for method in UNLABELLED_METHODS:
        after = []
        for rows in draws:
            known = set(rows.tolist())
            labels = [label if row in known else None for row, label in enumerate(split.train.labels)]
            labels += [None] * len(split.test.labels)
            after.append(accuracy(_refined(method, vectors, labels, None), split.test))
        yield Refinement(method, f"{FEW_EXAMPLES} examples a class", before, float(np.mean(after)))


def _refined(method: Method, vectors: Float32, labels: Sequence[str | None], start: Start | None) -> ClassModel:
    options = complete_options(method, {})
    found = refined(method, vectors, labels, start, options)
    record = ClassifierRecord("", None, method, "", "", 0, "", "", "ready", labels=found.labels, options=options)
    return class_model(record, found.arrays)


def _shifted(inputs: LabelledVectors) -> LabelledVectors:
    """Half of the classes as they are, of the others one in `SHIFT`."""
    classes = sorted(set(inputs.labels))
    rare = set(classes[len(classes) // 2 :])
    seen: dict[str, int] = dict.fromkeys(classes, 0)
    rows = []
    for row, label in enumerate(inputs.labels):
        if label not in rare or seen[label] % SHIFT == 0:
            rows.append(row)
        seen[label] += 1
    return _rows(inputs, rows)


def _unknown_auroc(method: Method, split: Split) -> float | None:
    """How well familiarity tells the known from the last `HELD_OUT_CLASSES` classes, if enough are left."""
    classes = sorted(set(split.train.labels))
    if len(classes) < 2 * HELD_OUT_CLASSES:
        return None
    unknown = set(classes[-HELD_OUT_CLASSES:])
    known_rows = [row for row, label in enumerate(split.train.labels) if label not in unknown]
    familiarity = trained(method, _rows(split.train, known_rows)).scored(split.test.vectors).familiarity
    is_unknown = np.array([label in unknown for label in split.test.labels])
    return open_set_auroc(familiarity[~is_unknown], familiarity[is_unknown])


def _incremental(split: Split) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Learn the classes in up to five steps, keeping sums and no example; beside each, learning all of them at once."""
    sums = ClassSums(split.train.vectors.shape[1])
    labels, test_labels = np.array(split.train.labels), np.array(split.test.labels)
    known: list[str] = []
    incremental, at_once = [], []
    classes = np.array(sorted(set(split.train.labels)))
    for step in np.array_split(classes, min(STEPS, len(classes) // 2)):
        known += step.tolist()
        new = _rows(split.train, np.flatnonzero(np.isin(labels, step)))
        sums.add(new.vectors, new.labels)
        test = _rows(split.test, np.flatnonzero(np.isin(test_labels, known)))
        streamed = LinearModel(nearest_mean_scorer(sums.means()), NEAREST_MEAN_ACTIVATION)
        incremental.append(accuracy(streamed, test))
        together = _rows(split.train, np.flatnonzero(np.isin(labels, known)))
        at_once.append(accuracy(trained("nearest_mean", together), test))
    return tuple(incremental), tuple(at_once)
