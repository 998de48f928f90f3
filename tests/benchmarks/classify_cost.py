"""Measure what classifying costs beside embedding the same photographs: processor time of the server, and time.

    python tests/benchmarks/classify_cost.py [--encoders simila-lite] [--labels 1000,100000] [--photos 1,16] [--json]

One request at a time; embedding, zero-shot by labels in the request and a trained classifier take turns. 100,000 labels
are embedded first, which takes minutes; `--no-names` leaves them and zero-shot out. Exit codes: 0 measured; 1 a server
failed.
"""

import http.client
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import orjson
import pybase64
import typer
from speed.bench import Bench
from speed.clip_export import CLIP
from speed.labels import label_names
from speed.loads import JSON, data_uri
from speed.photographs import jpegs
from speed.servers import Server, ServerFailed

from simila.cli.configuration import DataDirOption
from simila.cli.errors import FAILED, print_error
from simila.cli.tables import JsonOption, column, show, table
from simila.domain.errors import SimilaError
from simila.domain.manifest import Manifest

CACHE = Path(__file__).parents[2] / ".cache"
PHOTOGRAPHS = 48
EXAMPLES_A_REQUEST = 16_384
POLL_SECONDS = 1.0
EMBED = "embed"

app = typer.Typer(add_completion=False)


@dataclass(frozen=True)
class Cost:
    """Medians of one request. Ratios are to embedding the same photographs."""

    encoder: str
    labels: int
    photos: int
    who: str
    cpu_ms: float
    wall_ms: float
    cpu_ratio: float
    wall_ratio: float


@app.command()
def main(
    encoders: Annotated[str, typer.Option(help="With commas.")] = f"simila-lite,{CLIP}",
    labels: Annotated[str, typer.Option(help="How many, with commas.")] = "1000",
    photos: Annotated[str, typer.Option(help="Photographs a request, with commas.")] = "1,16",
    rounds: Annotated[int, typer.Option(min=3, help="How often everybody gets a turn.")] = 60,
    names: Annotated[bool, typer.Option("--names/--no-names", help="Classify by the labels' names too.")] = True,
    data_dir: DataDirOption = CACHE / "bench-data",
    as_json: JsonOption = False,
) -> None:
    """Measure what classifying costs beside embedding."""
    try:
        with tempfile.TemporaryDirectory() as scratch:
            bench = Bench(
                data_dir=(data_dir or CACHE / "bench-data").absolute(),
                scratch=Path(scratch),
                rounds=rounds,
                seconds=0,
                peer_folder=None,
                tell=lambda message: typer.echo(message, err=True),
            )
            numbers = [[int(number) for number in given.split(",")] for given in (labels, photos)]
            manifests = map(bench.encoder, encoders.split(","))
            costs = [cost for one in manifests for cost in measured(bench, one, *numbers, by_names=names)]
    except (SimilaError, ServerFailed) as error:
        print_error(str(error))
        raise typer.Exit(FAILED) from error
    if as_json:
        typer.echo(orjson.dumps(costs))
    else:
        show_costs(costs)


def measured(
    bench: Bench, manifest: Manifest, labels: Sequence[int], photos: Sequence[int], *, by_names: bool
) -> Iterator[Cost]:
    """Measure one encoder with each number of labels and photographs a request."""
    images = [data_uri(jpeg) for jpeg in jpegs(PHOTOGRAPHS)]
    with bench.simila([manifest.name], SIMILA_LIMITS__MAX_INPUTS=str(EXAMPLES_A_REQUEST)) as server:
        for number in labels:
            names = label_names(number)
            ways: dict[str, tuple[str, dict[str, Any]]] = {EMBED: ("/v1/embeddings", {"model": manifest.name})}
            if by_names:
                bench.tell(f"{manifest.name}: {number} labels are embedded")
                _wait_for_labels(server, {"model": manifest.name, "labels": names, "input": images[:1]})
                ways["labels"] = "/v1/classify", {"model": manifest.name, "labels": names}
            bench.tell(f"{manifest.name}: {number} classes are learned")
            classifier = _trained(server, manifest, names)
            ways["classifier_id"] = "/v1/classify", {"classifier_id": classifier}
            for each in photos:
                groups = [images[start : start + each] for start in range(0, PHOTOGRAPHS - each + 1, each)]
                for who, *figures in compared(server, ways, groups, bench.rounds):
                    yield Cost(manifest.name, number, each, who, *figures)
            _asked(server, "DELETE", f"/v1/classifiers/{classifier}")


def compared(
    server: Server, ways: Mapping[str, tuple[str, dict[str, Any]]], groups: Sequence[Sequence[str]], rounds: int
) -> Iterator[tuple[str, float, float, float, float]]:
    """Ask in every way about the same photographs in turn; the first round warms up."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    cpu_ms: dict[str, list[float]] = {who: [] for who in ways}
    wall_ms: dict[str, list[float]] = {who: [] for who in ways}
    for turn in range(rounds + 1):
        for who, (path, body) in ways.items():
            content = orjson.dumps({"input": groups[turn % len(groups)], **body})
            cpu, began = server.cpu_seconds(), time.perf_counter()
            connection.request("POST", path, content, {"content-type": JSON})
            response = connection.getresponse()
            answer = response.read()
            if response.status != http.HTTPStatus.OK:
                raise ServerFailed(f"{path} was answered with {response.status}: {answer[:300]!r}")
            if turn:
                wall_ms[who].append(1000 * (time.perf_counter() - began))
                cpu_ms[who].append(1000 * (server.cpu_seconds() - cpu))
    connection.close()
    cpu, wall = ({who: median(figures) for who, figures in kind.items()} for kind in (cpu_ms, wall_ms))
    for who in ways:
        yield who, cpu[who], wall[who], cpu[who] / cpu[EMBED], wall[who] / wall[EMBED]


def show_costs(costs: Sequence[Cost]) -> None:
    numbers = ("labels", "photos", "CPU ms", "of embedding", "wall ms", "of embedding's")
    numeric = [column(name, justify="right") for name in numbers]
    rows = table(column("encoder"), *numeric[:2], column("who"), *numeric[2:])
    for cost in costs:
        ratios = f"{cost.cpu_ratio:.3f}", f"{cost.wall_ratio:.3f}"
        figures = f"{cost.cpu_ms:.2f}", ratios[0], f"{cost.wall_ms:.2f}", ratios[1]
        rows.add_row(cost.encoder, f"{cost.labels:,}", str(cost.photos), cost.who, *figures)
    show("\nOne request, medians; the same photographs in turn", style="bold")
    show(rows)


def _wait_for_labels(server: Server, body: dict[str, Any]) -> None:
    while True:
        status, answer = server.post("/v1/classify", JSON, orjson.dumps(body))
        if status == http.HTTPStatus.OK:
            return
        if status != http.HTTPStatus.SERVICE_UNAVAILABLE:
            raise ServerFailed(f"labels were answered with {status}: {answer[:300]!r}")
        time.sleep(POLL_SECONDS)


def _trained(server: Server, manifest: Manifest, names: Sequence[str]) -> str:
    """Teach a nearest-mean classifier one random vector a class, and return its id."""
    vectors = np.random.default_rng(0).normal(size=(len(names), manifest.dimension)).astype("<f4")
    written = [pybase64.b64encode_as_string(vector.tobytes()) for vector in vectors]
    examples = [{"vector": vector, "label": name} for vector, name in zip(written, names, strict=True)]
    whose: dict[str, str] = {"model": manifest.name}
    for start in range(0, len(examples), EXAMPLES_A_REQUEST):
        answer = _asked(server, "POST", "/v1/train", {**whose, "input": examples[start : start + EXAMPLES_A_REQUEST]})
        whose = {"classifier_id": answer["classifier_id"]}
    return whose["classifier_id"]


def _asked(server: Server, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request(method, path, orjson.dumps(body), {"content-type": JSON})
    response = connection.getresponse()
    answer = response.read()
    connection.close()
    if response.status >= http.HTTPStatus.BAD_REQUEST:
        raise ServerFailed(f"{path} was answered with {response.status}: {answer[:300]!r}")
    return orjson.loads(answer or b"null")


if __name__ == "__main__":
    app()
