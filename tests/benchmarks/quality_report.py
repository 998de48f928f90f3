"""The figures of a quality run, and how they look in a terminal."""

from collections.abc import Sequence
from dataclasses import dataclass

from conse_variants import TEMPERATURES, VariantFigure
from nearest_mean_quality import NearestMeanFigure
from rich.table import Table
from zero_shot_quality import Calibration, ZeroShotFigures

from simila.cli.tables import column, show, table


@dataclass(frozen=True)
class QualityFigures:
    """All that was measured; `variants` is None where torch is not installed."""

    nearest_mean: tuple[NearestMeanFigure, ...]
    zero_shot: ZeroShotFigures
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
