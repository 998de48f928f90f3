"""The figures of a throughput run, one JSON line a scenario and a table of all."""

from collections.abc import Sequence

import orjson
import typer
from rich.table import Table

from simila.cli.tables import column, show, table
from speed.contest import Standing
from speed.lifetime import ColdStart, Memory
from speed.overload import Overload
from speed.scenarios import ScenarioResult

Result = ScenarioResult | Overload | ColdStart | Memory


def show_line(result: Result) -> None:
    """Print one result as one line of JSON."""
    typer.echo(orjson.dumps({"kind": type(result).__name__, "result": result}))


def show_report(results: Sequence[Result]) -> None:
    """Print all results as tables."""
    contests = [result for result in results if isinstance(result, ScenarioResult)]
    if contests:
        show("\nItems a second, median of the rounds", style="bold")
        show(_contest_table(contests))
    for result in results:
        if isinstance(result, ColdStart):
            show(
                f"\nCold start with {', '.join(result.encoders)}: ready after {result.seconds_to_ready:.2f} s, first"
                f" vector after {result.seconds_to_first_vector:.2f} s; packages and graphs alone take"
                f" {result.limit_seconds:.2f} s (medians of {result.starts})"
            )
        elif isinstance(result, Overload):
            show(
                f"\nOverload of {result.encoder}: {result.connections} connections that come back at once, a queue of"
                f" {result.queue_seconds:g} s: {result.goodput:.1f}/s of a peak of {result.peak:.1f}/s ="
                f" {result.ratio:.3f}, {result.refusals:.0f} refusals/s, {result.failed} failed, p99 of the admitted"
                f" {result.admitted_p99_ms:.0f} ms, a new client served {result.recovered_after_ms:.0f} ms after;"
                f" {result.cpu_ms:.2f} ms of the server's processor time an answer, {result.peak_cpu_ms:.2f} at the"
                f" peak; wrk took {result.load_cores:.2f} cores"
            )
        elif isinstance(result, Memory):
            show(
                f"\nMemory: {result.mebibytes_after_load:.0f} MiB after load, {result.mebibytes[-1]:.0f} MiB after"
                f" {result.requests:,} requests, {result.slope_mebibytes_per_10_000_requests:+.2f} MiB per 10,000"
                f" requests over the last half"
            )


def _contest_table(results: Sequence[ScenarioResult]) -> Table:
    numbers = ("items/s", "CPU ms/item", "p50 ms", "p99 ms", "checked", "lowest cosine")
    numeric = [column(name, justify="right") for name in numbers]
    rows = table(column("scenario"), column("encoder"), column("who"), *numeric, column("note"))
    for result in results:
        if result.skipped:
            rows.add_row(result.scenario, result.encoder, "", *[""] * len(numbers), f"skipped: {result.skipped}")
        for standing in result.standings:
            rows.add_row(
                result.scenario,
                result.encoder,
                standing.name,
                f"{standing.rate:.1f}",
                _number(standing.cpu_ms, 2),
                _number(standing.p50_ms, 0),
                _number(standing.p99_ms, 0),
                str(standing.checked),
                _number(standing.lowest_cosine, 6),
                _note(result, standing),
            )
    return rows


def _note(result: ScenarioResult, standing: Standing) -> str:
    """Why it does not count, else the limit's layout or our ratios."""
    if standing.invalid:
        return f"INVALID: {standing.invalid}"
    if standing is result.standings[0]:
        return result.layout or ""
    ratios = (result.ratios or {}).items()
    return ", ".join(f"{ratio:.3f} of {pair.split('/')[1]}" for pair, ratio in ratios if pair.startswith(standing.name))


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
