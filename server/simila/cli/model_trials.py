"""What tuning has tried on this machine, row by row."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from simila.cli import tables
from simila.domain.manifest import Manifest
from simila.domain.model_repository import ModelRepository
from simila_models.progress import Progress


@dataclass(frozen=True)
class Trial:
    """A runtime, a layout of threads and a size of batch; `batch` counts padded tokens of texts, or images.

    `preprocess_threads` is how many keep the layout fed that was chosen; of others it is not measured.
    """

    name: str
    tower: str
    runtime: str
    worker_threads: int
    threads_per_run: int
    batch: int
    rows_per_second: float
    chosen: bool
    preprocess_threads: int | None = None


TuneEncoder = Callable[[Manifest, ModelRepository, Progress], Sequence[Trial]]
"""Tunes every tower of an encoder, keeps what it has chosen, and says what it has tried."""


def show_trials(trials: Sequence[Trial]) -> None:
    table = tables.table(
        tables.column("name"),
        tables.column("tower"),
        tables.column("runtime"),
        tables.column("workers", justify="right"),
        tables.column("threads", justify="right"),
        tables.column("batch", justify="right"),
        tables.column("rows/s", justify="right"),
        tables.column("preprocess", justify="right"),
        tables.column(""),
    )
    for trial in trials:
        layout = (str(trial.worker_threads), str(trial.threads_per_run), str(trial.batch))
        verdict, style = ("chosen", None) if trial.chosen else ("", tables.MUTED)
        table.add_row(
            trial.name,
            trial.tower,
            trial.runtime,
            *layout,
            f"{trial.rows_per_second:.1f}",
            str(trial.preprocess_threads or ""),
            verdict,
            style=style,
        )
    tables.show(table)
