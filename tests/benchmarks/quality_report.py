"""The figures of a quality run, and how they look in a terminal."""

from collections.abc import Sequence
from dataclasses import dataclass

from classifier_quality import Refinement, RuleFigures, ShotFigure
from conse_variants import TEMPERATURES, VariantFigure
from nearest_mean_quality import NearestMeanFigure
from rich.table import Table
from zero_shot_quality import Calibration, ZeroShotFigures

from simila.cli.tables import column, show, table


@dataclass(frozen=True)
class ClassifierFigures:
    """Each classifier by the number of examples, and each rule of decision."""

    shots: tuple[ShotFigure, ...]
    rules: tuple[RuleFigures, ...]


@dataclass(frozen=True)
class QualityFigures:
    """All that was measured; `variants` is None where torch is not installed."""

    nearest_mean: tuple[NearestMeanFigure, ...]
    zero_shot: ZeroShotFigures
    classifiers: ClassifierFigures
    variants: tuple[VariantFigure, ...] | None

    @property
    def differing_from_scikit_learn(self) -> int:
        return sum(figure.differing_from_scikit_learn for figure in self.nearest_mean)


@dataclass(frozen=True)
class QualityReport:
    """The figures, and what they were measured on."""

    folder: str
    classes: tuple[str, ...]
    train_photographs: int
    test_photographs: int
    figures: QualityFigures
    seconds: float


def show_report(report: QualityReport) -> None:
    """Print a report as tables."""
    figures = report.figures
    show(
        f"{report.folder}: {len(report.classes)} classes, {report.train_photographs} photographs in train,"
        f" {report.test_photographs} in test"
    )
    _show_titled(f"Zero-shot accuracy, {figures.zero_shot.encoder}", _zero_shot_table(figures.zero_shot))
    _show_titled("Nearest mean: means from train, accuracy on test", _nearest_mean_table(figures.nearest_mean))
    _show_titled("Classifiers: mean accuracy by examples a class", _shots_table(figures.classifiers.shots))
    _show_titled("Rules of decision, all of train learned", _rules_table(figures.classifiers.rules))
    if figures.variants is None:
        show("\nPrompts, centring and temperature are compared with torch: pip install 'simila[export]'")
    else:
        title = f"Zero-shot accuracy on train of variants of {figures.zero_shot.encoder}, by softmax temperature T"
        _show_titled(title, _variants_table(figures.variants))
    _show_titled("Negative log-likelihood of zero-shot, in nats", _calibration_table(figures.zero_shot.calibration))
    show(f"\ntook {report.seconds:.1f} s")


def _show_titled(title: str, figures: Table) -> None:
    show(f"\n{title}", style="bold")
    show(figures)


def _zero_shot_table(figures: ZeroShotFigures) -> Table:
    rows = table(column("prompt"), column("train", justify="right"), column("test", justify="right"))
    rows.add_row(" + ".join(figures.templates), f"{figures.train_accuracy:.3f}", f"{figures.test_accuracy:.3f}")
    return rows


def _nearest_mean_table(figures: Sequence[NearestMeanFigure]) -> Table:
    rows = table(
        column("encoder"),
        column("examples a class", justify="right"),
        column("accuracy", justify="right"),
        column("differ from scikit-learn", justify="right"),
    )
    for figure in figures:
        accuracy, differing = f"{figure.accuracy:.3f}", str(figure.differing_from_scikit_learn)
        rows.add_row(figure.encoder, str(figure.examples_a_class), accuracy, differing)
    return rows


def _shots_table(figures: Sequence[ShotFigure]) -> Table:
    classifiers = list(figures[0].accuracies)
    rows = table(
        column("data"),
        column("examples", justify="right"),
        *(column(classifier, justify="right") for classifier in classifiers),
    )
    for figure in figures:
        accuracies = (figure.accuracies[classifier] for classifier in classifiers)
        rows.add_row(figure.split, str(figure.shots), *map(_share, accuracies))
    return rows


def _rules_table(figures: Sequence[RuleFigures]) -> Table:
    rows = table(column("figure"), *(column(figure.split, justify="right") for figure in figures))
    for title, name in (
        ("zero-shot accuracy", "zero_shot"),
        ("nearest mean", "plain"),
        ("nearest mean, views averaged", "views"),
        ("logistic probe, calibrated, under a label shift", "shifted"),
        ("the same, priors estimated", "shifted_corrected"),
        ("AUROC of two unknown classes, maximum logit", "auroc_logit"),
        ("AUROC of two unknown classes, k-th neighbour", "auroc_neighbour"),
    ):
        rows.add_row(title, *(_share(getattr(figure, name)) for figure in figures))
    for title in dict.fromkeys(_title(one) for figure in figures for one in figure.refinements):
        found = [{_title(one): one for one in figure.refinements}.get(title) for figure in figures]
        rows.add_row(title, *(one and f"{_share(one.before)} / {_share(one.after)}" for one in found))
    for step in range(max(len(figure.incremental) for figure in figures)):
        rows.add_row(f"class-incremental, step {step + 1}: streamed / at once", *(_step(one, step) for one in figures))
    return rows


def _title(one: Refinement) -> str:
    return f"{one.method.replace('_', ' ')} from {one.start}: before / after"


def _step(figure: RuleFigures, step: int) -> str:
    if step >= len(figure.incremental):
        return ""
    return f"{_share(figure.incremental[step])} / {_share(figure.at_once[step])}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _variants_table(figures: Sequence[VariantFigure]) -> Table:
    temperatures = [column(f"T={temperature}", justify="right") for temperature in TEMPERATURES]
    rows = table(column("prompt"), column("centred"), *temperatures)
    accuracies: dict[tuple[tuple[str, ...], bool], list[str]] = {}
    for figure in figures:
        accuracies.setdefault((figure.templates, figure.centred), []).append(f"{figure.accuracy:.3f}")
    for (templates, centred), row in accuracies.items():
        rows.add_row(templates[0] if len(templates) == 1 else "all of them", "yes" if centred else "no", *row)
    return rows


def _calibration_table(calibration: Calibration) -> Table:
    rows = table(
        column("scale", justify="right"), column("train", justify="right"), column("test", justify="right"), column("")
    )
    notable = (("manifest", calibration.manifest_scale), ("best on train", calibration.best_scale))
    for figure in calibration.figures:
        note = ", ".join(text for text, scale in notable if scale == figure.scale)
        rows.add_row(f"{figure.scale:g}", f"{figure.train_nats:.3f}", f"{figure.test_nats:.3f}", note)
    return rows
