"""Measure collections: ingestion, index building, start, memory, recall and searches beside raw FAISS.

    python tests/benchmarks/index.py [--rows 10000,1000000] [--clip-texts FILE.npy [--clip-rows N]] [--chart growth.png]

Each corpus is sent to a server over HTTP. In turns, the queries go to the server, to FAISS alone on the very index that
the server built, and to a server that looks for nothing. Filled collections and their figures are kept in the cache:
`--resume` measures only what was not measured before, `--fresh` fills and measures everything anew. Exit codes: 0
measured; 1 a server failed; 2 wrong usage, or no wrk.
"""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import orjson
import typer
from neighbours.chart import write_chart
from neighbours.contest import ENCODER_OF, Filled, IndexResult, fill, measure
from neighbours.vectors import CLUSTERED, Corpus, clip_texts, clusters
from rich.console import Console
from rich.table import Table
from speed.bench import Bench
from speed.servers import ServerFailed
from speed.wrk import WrkFailed, WrkMissing, check_wrk

from simila.cli.errors import FAILED, WRONG_USAGE, print_error

CACHE = Path(__file__).parents[2] / ".cache"
KEPT = CACHE / "bench-data" / "neighbours"

app = typer.Typer(add_completion=False)


@app.command()
def main(
    rows: Annotated[
        str, typer.Option(help="Sizes of the clustered corpora, with commas; none if empty.")
    ] = "10000,100000,1000000",
    clip_texts_file: Annotated[
        Path | None,
        typer.Option("--clip-texts", help="Real text vectors, .npy, to store clouds around and search for."),
    ] = None,
    clip_rows: Annotated[int, typer.Option(min=1, help="How many vectors the clouds have.")] = 200_000,
    rounds: Annotated[int, typer.Option(min=1, help="How often everybody gets a turn.")] = 5,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long a turn is, about.")] = 5.0,
    chart: Annotated[Path | None, typer.Option(help="Draw growth into this PNG.")] = None,
    models_dir: Annotated[Path, typer.Option(help="Data folder whose exported models are served.")] = CACHE
    / "bench-data",
    resume: Annotated[bool, typer.Option("--resume", help="Take figures that were measured before.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Throw away what is kept of these corpora.")] = False,
) -> None:
    """Measure collections of growing size."""
    console = Console(width=200)
    results = []
    try:
        check_wrk()
        for corpus in corpora([int(size) for size in rows.split(",") if size], clip_texts_file, clip_rows):
            folder = KEPT / corpus.slug
            if fresh:
                shutil.rmtree(folder, ignore_errors=True)
            known = folder / "result.json"
            if resume and known.exists():
                results.append(IndexResult.read(known))
                continue
            results.append(measured(corpus, folder, models_dir, rounds, seconds))
            known.write_bytes(orjson.dumps(asdict(results[-1])))
            console.print_json(orjson.dumps(asdict(results[-1])).decode())
    except WrkMissing as error:
        print_error(str(error))
        raise typer.Exit(WRONG_USAGE) from error
    except (ServerFailed, WrkFailed) as error:
        print_error(str(error))
        raise typer.Exit(FAILED) from error
    console.print(table(results))
    if chart:
        write_chart([one for one in results if one.corpus.endswith(CLUSTERED)], chart)


def corpora(sizes: Sequence[int], clip_texts_file: Path | None, clip_rows: int) -> Iterator[Corpus]:
    """Make one after the other, because each may fill much of the memory."""
    for size in sizes:
        yield clusters(size)
    if clip_texts_file:
        yield clip_texts(clip_texts_file, clip_rows)


def measured(corpus: Corpus, folder: Path, models_dir: Path, rounds: int, seconds: float) -> IndexResult:
    """Fill a collection in `folder`, unless one was filled there before, and measure it."""
    known = folder / "filled.json"
    filled = Filled.read(known)
    if filled is None:
        shutil.rmtree(folder, ignore_errors=True)  # half of one
    with tempfile.TemporaryDirectory() as scratch:

        def bench(data_dir: Path, logs: str) -> Bench:
            own = Path(scratch) / logs
            own.mkdir()
            return Bench(data_dir, own, rounds, seconds, None, tell=lambda message: typer.echo(message, err=True))

        def linked(data_dir: Path) -> Path:
            data_dir.mkdir(parents=True, exist_ok=True)
            for part in ("models", "sources", "manifests"):
                if not (data_dir / part).exists():
                    (data_dir / part).symlink_to((models_dir / part).absolute(), target_is_directory=True)
            return data_dir

        bench(models_dir, "models").encoder(ENCODER_OF[corpus.vectors.shape[1]])
        served = bench(linked(folder / "data"), "served")
        if filled is None:
            filled = fill(served, corpus)
            filled.write(known)
        return measure(served, bench(linked(Path(scratch) / "data"), "empty"), corpus, filled)


def table(results: Sequence[IndexResult]) -> Table:
    shown = Table(title="Collections beside raw FAISS on the same index; recall at 10")
    for heading in ("corpus", "kind", "vectors/s in", "build s", "start s", "disk x", "MiB", "x needed"):
        shown.add_column(heading, justify="left" if heading in ("corpus", "kind") else "right")
    for heading in (
        "raw q/s",
        "served",
        "ratio",
        "raw cpu ms",
        "16 a call",
        "empty",
        "served",
        "ratio",
        "p50 + ms",
        "recall",
        "0.1 %",
        "1 %",
        "10 %",
        "50 %",
    ):
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
            f"{one.rates.raw:.0f}",
            f"{one.rates.served:.0f}",
            f"{one.rates.ratio:.2f}",
            f"{one.rates.raw_cpu_ms:.3f}",
            f"{one.rates.raw_batch_cpu_ms:.3f}",
            f"{one.rates.empty_cpu_ms:.3f}",
            f"{one.rates.served_cpu_ms:.3f}",
            f"{one.rates.cpu_ratio:.2f}",
            f"{one.rates.added_p50_ms:.2f}",
            f"{one.recall:.3f}",
            *(f"{recall:.3f}" for recall in one.filtered_recall.values()),
        )
    return shown


if __name__ == "__main__":
    app()
