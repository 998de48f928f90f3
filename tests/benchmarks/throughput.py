"""Measure how fast the server is: beside raw ONNX Runtime and, if asked, beside a peer, in the same run.

    python tests/benchmarks/throughput.py [--scenario T1,I1] [--rounds 5] [--seconds 6] [--json] [--peer infinity]

Exit codes: 0 measured; 1 an answer was wrong, a request failed or a server did not start; 2 wrong usage, or no wrk.
"""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from speed.bench import PEER, Bench
from speed.lifetime import COLD_START_ENCODERS, cold_start, memory
from speed.overload import Overload, overload
from speed.scenarios import SCENARIOS, ScenarioResult
from speed.servers import ServerFailed
from speed.throughput_report import Result, show_line, show_report
from speed.wrk import WrkFailed, WrkMissing, check_wrk

from simila.cli.configuration import DataDirOption
from simila.cli.errors import FAILED, WRONG_USAGE, WrongUsage, print_error
from simila.cli.tables import JsonOption
from simila.domain.errors import SimilaError

CACHE = Path(__file__).parents[2] / ".cache"
COLD_START, MEMORY, OVERLOAD = "cold-start", "memory", "overload"
ALL_SCENARIOS = (*SCENARIOS, OVERLOAD, COLD_START, MEMORY)

app = typer.Typer(add_completion=False)


@app.command()
def main(
    scenario: Annotated[str, typer.Option(help="Which to measure, with commas.")] = ",".join(ALL_SCENARIOS),
    rounds: Annotated[int, typer.Option(min=1, help="How often everybody gets a turn.")] = 5,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long a turn is, about.")] = 6.0,
    memory_requests: Annotated[int, typer.Option(min=1000, help="Requests of the memory scenario.")] = 100_000,
    peer: Annotated[str | None, typer.Option(help="Measure this server too: infinity.", show_default=False)] = None,
    data_dir: DataDirOption = CACHE / "bench-data",
    as_json: JsonOption = False,
) -> None:
    """Measure throughput, latency, cold start and memory."""
    try:
        check_wrk()
        chosen, peer_folder = chosen_scenarios(scenario), chosen_peer(peer)
        with tempfile.TemporaryDirectory() as scratch:
            bench = Bench(
                data_dir=(data_dir or CACHE / "bench-data").absolute(),
                scratch=Path(scratch),
                rounds=rounds,
                seconds=seconds,
                peer_folder=peer_folder,
                tell=lambda message: typer.echo(message, err=True),
            )
            results = []
            for result in measure(bench, chosen, memory_requests):
                show_line(result)
                results.append(result)
    except (WrongUsage, WrkMissing) as error:
        print_error(str(error))
        raise typer.Exit(WRONG_USAGE) from error
    except (SimilaError, ServerFailed, WrkFailed) as error:
        print_error(str(error))
        raise typer.Exit(FAILED) from error
    if not as_json:
        show_report(results)
    raise typer.Exit(exit_code(results))


def measure(bench: Bench, scenarios: Sequence[str], memory_requests: int) -> Iterator[Result]:
    """Measure one scenario after the other.

    Raises:
        SimilaError: an encoder cannot be had.
        ServerFailed, WrkFailed: a server did not start, or gave up.

    """
    for scenario in scenarios:
        if scenario == COLD_START:
            for encoders in COLD_START_ENCODERS:
                yield cold_start(bench, encoders)
        elif scenario == MEMORY:
            yield memory(bench, memory_requests)
        elif scenario == OVERLOAD:
            yield from overload(bench)
        else:
            yield from SCENARIOS[scenario](bench)


def exit_code(results: Sequence[Result]) -> int:
    """Whether all that was measured is worth something."""
    standings = [standing for result in results if isinstance(result, ScenarioResult) for standing in result.standings]
    failed = any(result.failed for result in results if isinstance(result, Overload))
    return FAILED if failed or any(standing.invalid for standing in standings) else 0


def chosen_scenarios(names: str) -> list[str]:
    """Split what was typed.

    Raises:
        WrongUsage: there is no such scenario.

    """
    chosen = names.split(",")
    unknown = [name for name in chosen if name not in ALL_SCENARIOS]
    if unknown:
        raise WrongUsage(f"no scenario is called {', '.join(unknown)}; there are {', '.join(ALL_SCENARIOS)}")
    return chosen


def chosen_peer(peer: str | None) -> Path | None:
    """Say where peers are installed, if one is wanted.

    Raises:
        WrongUsage: nobody knows this peer.

    """
    if peer not in (None, PEER):
        raise WrongUsage(f"no peer is called {peer}; there is {PEER}")
    return CACHE / "peers" if peer else None


if __name__ == "__main__":
    app()
