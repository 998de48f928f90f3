"""Measure collections: ingestion, index building, start, memory, recall and searches beside raw FAISS.

    python tests/benchmarks/index.py [--rows 10000,100000,1000000] [--clip-texts FILE.npy] [--chart growth.png]

Each corpus is sent to a server over HTTP, and the queries go to the server and to FAISS alone, on the very index that
the server built, in turns. Exit codes: 0 measured; 1 a server failed; 2 wrong usage, or no wrk.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import orjson
import typer
from neighbours.chart import write_chart
from neighbours.contest import IndexResult, measure
from neighbours.vectors import Corpus, clip_texts, clusters
from rich.console import Console
from rich.table import Table
from speed.bench import Bench
from speed.servers import ServerFailed
from speed.wrk import WrkFailed, WrkMissing, check_wrk

from simila.cli.errors import FAILED, WRONG_USAGE, print_error

CACHE = Path(__file__).parents[2] / ".cache"
CLIP_ROWS = 200_000

app = typer.Typer(add_completion=False)


@app.command()
def main(
    rows: Annotated[str, typer.Option(help="Sizes of the clustered corpora, with commas.")] = "10000,100000,1000000",
    clip_texts_file: Annotated[
        Path | None,
        typer.Option("--clip-texts", help="Real text vectors, .npy, to store clouds around and search for."),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often everybody gets a turn.")] = 5,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long a turn is, about.")] = 5.0,
    chart: Annotated[Path | None, typer.Option(help="Draw growth into this PNG.")] = None,
    models_dir: Annotated[Path, typer.Option(help="Data folder whose exported models are served.")] = CACHE
    / "bench-data",
) -> None:
    """Measure collections of growing size."""
    console = Console(width=200)
    results = []
    try:
        check_wrk()
        for corpus in corpora([int(size) for size in rows.split(",")], clip_texts_file):
            results.append(measured(corpus, models_dir, rounds, seconds))
            console.print_json(orjson.dumps(asdict(results[-1])).decode())
    except WrkMissing as error:
        print_error(str(error))
        raise typer.Exit(WRONG_USAGE) from error
    except (ServerFailed, WrkFailed) as error:
        print_error(str(error))
        raise typer.Exit(FAILED) from error
    console.print(table(results))
    if chart:
        write_chart(results, chart)


def corpora(sizes: Sequence[int], clip_texts_file: Path | None) -> Iterator[Corpus]:
    """Make one after the other, because each may fill much of the memory."""
    for size in sizes:
        yield clusters(size)
    if clip_texts_file:
        yield clip_texts(clip_texts_file, CLIP_ROWS)


def measured(corpus: Corpus, models_dir: Path, rounds: int, seconds: float) -> IndexResult:
    """Measure in a data folder of its own, which is thrown away."""
    with tempfile.TemporaryDirectory() as scratch:
        data_dir = Path(scratch) / "data"
        data_dir.mkdir()
        (data_dir / "models").symlink_to((models_dir / "models").absolute(), target_is_directory=True)
        (data_dir / "sources").symlink_to((models_dir / "sources").absolute(), target_is_directory=True)
        bench = Bench(
            data_dir=data_dir,
            scratch=Path(scratch),
            rounds=rounds,
            seconds=seconds,
            peer_folder=None,
            tell=lambda message: typer.echo(message, err=True),
        )
        return measure(bench, corpus, data_dir / "collections" / "bench")


def table(results: Sequence[IndexResult]) -> Table:
    shown = Table(title="Collections beside raw FAISS on the same index; recall at 10")
    for heading in ("corpus", "kind", "vectors/s in", "build s", "start s", "disk x", "MiB", "x needed"):
        shown.add_column(heading, justify="left" if heading in ("corpus", "kind") else "right")
    for heading in ("raw q/s", "served q/s", "ratio", "p50 + ms", "recall", "0.1 %", "1 %", "10 %", "50 %"):
        shown.add_column(heading, justify="right")
    for one in results:
        shown.add_row(
            one.corpus,
            f"{one.kind} {one.setting}",
            f"{one.ingested_a_second:.0f}",
            f"{one.build_seconds:.0f}",
            f"{one.start_seconds:.1f}",
            f"{one.disk_factor:.2f}",
            f"{one.resident_mebibytes:.0f}",
            f"{one.resident_mebibytes / one.index_mebibytes:.2f}",
            f"{one.raw:.0f}",
            f"{one.served:.0f}",
            f"{one.ratio:.2f}",
            f"{one.added_p50_ms:.2f}",
            f"{one.recall:.3f}",
            *(f"{recall:.3f}" for recall in one.filtered_recall.values()),
        )
    return shown


if __name__ == "__main__":
    app()
