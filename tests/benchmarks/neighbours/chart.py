"""Growth on one picture."""

from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot

from neighbours.contest import IndexResult

PANELS: Sequence[tuple[str, Sequence[tuple[str, Callable[[IndexResult], float]]]]] = (
    (
        "Searches a second",
        (
            ("served", lambda one: one.rates.served),
            ("raw FAISS", lambda one: one.rates.raw),
            ("HTTP that looks for nothing", lambda one: one.rates.empty),
        ),
    ),
    (
        "Milliseconds of a processor for a query",
        (
            ("served", lambda one: one.rates.served_cpu_ms),
            ("raw FAISS", lambda one: one.rates.raw_cpu_ms),
            ("raw FAISS, 16 a call", lambda one: one.rates.raw_batch_cpu_ms),
            ("HTTP that looks for nothing", lambda one: one.rates.empty_cpu_ms),
        ),
    ),
    ("Recall at 10", (("no filter", lambda one: one.recall), ("1 % match", lambda one: one.filtered_recall["1 %"]))),
    ("Seconds", (("to build", lambda one: one.build_seconds), ("to start", lambda one: one.start_seconds))),
    ("MiB", (("resident", lambda one: one.resident_mebibytes), ("index", lambda one: one.index_mebibytes))),
)


def write_chart(results: Sequence[IndexResult], file: Path) -> None:
    """Draw rates, recall, times and memory over the number of rows."""
    figure, axes = pyplot.subplots(3, 2, figsize=(11, 12), layout="constrained")
    rows = [one.rows for one in results]
    axes.flat[len(PANELS)].set_axis_off()
    for panel, (title, lines) in zip(axes.flat, PANELS, strict=False):
        for name, value in lines:
            panel.plot(rows, [value(one) for one in results], marker="o", label=name)
        panel.set(xscale="log", xlabel="vectors", title=title)
        if title != "Recall at 10":
            panel.set_ylim(bottom=0)
        panel.grid(alpha=0.3)
        panel.legend()
    figure.savefig(file, dpi=110)
