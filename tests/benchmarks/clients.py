"""Texts a second through this client beside the `openai` SDK, in turns, against one server.

`make bench-clients ARGS='--texts 10000'`. The SDK is used in the two ways that programs have it: a call a text, and
lists as long as the API takes. `--cache` lets the server keep the vectors, so that encoding costs nothing and what is
left is the wire. Beside the rate stands the processor time that a text costs the client and the server: what others do
on the machine moves it less, and it says which of the two is the bound.

`make bench-clients ARGS='--stream 1000000'` sends so many texts through `embed_stream` instead, and prints how much
memory the client and the server hold on the way; the texts repeat and the server keeps their vectors, to be quick.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import httpx
import numpy as np
from numpy.typing import NDArray
from openai import OpenAI

from simila_client import Simila

MODEL = "all-minilm-l6-v2"
SDK_LIST_INPUTS = 2048
STREAM_TEXTS = 1000  # distinct ones
STREAM_READINGS = 10

Embed = Callable[[list[str]], NDArray[np.float32]]


@dataclass(frozen=True)
class Pass:
    """One client embedding all texts once."""

    texts_per_second: float
    client_microseconds: float  # of processor time, a text
    server_microseconds: float


def measured(embed: Embed, texts: list[str], server_id: int) -> Pass:
    before = (time.perf_counter(), time.process_time(), processor_seconds(server_id))
    vectors = embed(texts)
    after = (time.perf_counter(), time.process_time(), processor_seconds(server_id))
    assert vectors.shape == (len(texts), 384)
    wall, client, server = (1e6 * (end - start) / len(texts) for start, end in zip(before, after, strict=True))
    return Pass(1e6 / wall, client, server)


def processor_seconds(process_id: int) -> float:
    """What a process has used so far, in steps of 10 ms."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Server:
    """A server in a process of its own."""

    url: str
    process_id: int


@contextmanager
def server(*, keeps_vectors: bool) -> Iterator[Server]:
    """`simila serve`, ready."""
    environment = {**os.environ, "SIMILA_ENCODERS": MODEL, "SIMILA_LOG_LEVEL": "error"}
    environment["SIMILA_ENGINE__CACHE_BYTES"] = str(2**28 if keeps_vectors else 0)
    command = [sys.executable, "-m", "simila", "serve", "--port", "0"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            url = next(word for word in line.split() if word.startswith("http://")).rstrip(".,;")
            while httpx.get(f"{url}/readyz", timeout=60).status_code != httpx.codes.OK:
                time.sleep(0.5)
            yield Server(url, process.pid)
        finally:
            process.terminate()


def ways(url: str) -> dict[str, tuple[Embed, float]]:
    """Each way to embed, with the share of the texts that it is given: a call a text takes long."""
    sdk = OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0)
    ours = Simila(url)

    def in_lists(texts: list[str]) -> NDArray[np.float32]:
        lists = (texts[at : at + SDK_LIST_INPUTS] for at in range(0, len(texts), SDK_LIST_INPUTS))
        rows = [row.embedding for one in lists for row in sdk.embeddings.create(model=MODEL, input=one).data]
        return np.array(rows, dtype=np.float32)

    def one_by_one(texts: list[str]) -> NDArray[np.float32]:
        rows = [sdk.embeddings.create(model=MODEL, input=text).data[0].embedding for text in texts]
        return np.array(rows, dtype=np.float32)

    return {
        "simila_client": (lambda texts: ours.embed(texts, model=MODEL).vectors, 1),
        "openai, lists of 2,048": (in_lists, 1),
        "openai, a call a text": (one_by_one, 0.1),
    }


def stream(served: Server, items: int) -> None:
    """Memory at the start of a stream, and after each tenth of it."""
    known = [f"order {n} arrived late" for n in range(STREAM_TEXTS)]
    done, shown = 0, 0
    with Simila(served.url) as client:
        client.embed(known, model=MODEL)
        show_memory(0, served)
        began = time.perf_counter()
        for part in client.embed_stream(islice(cycle(known), items), model=MODEL):
            assert np.isfinite(part.vectors).all()
            done += len(part.vectors)
            if done * STREAM_READINGS // items > shown:
                shown = done * STREAM_READINGS // items
                show_memory(done, served)
    print(f"{done / (time.perf_counter() - began):.0f} texts/s")  # noqa: T201


def show_memory(done: int, served: Server) -> None:
    mebibytes = [memory_bytes(process_id) / 2**20 for process_id in (os.getpid(), served.process_id)]
    print("{:9} texts   client {:6.1f} MiB   server {:6.1f} MiB".format(done, *mebibytes), flush=True)  # noqa: T201


def memory_bytes(process_id: int) -> int:
    """The resident set of a process."""
    [line] = re.findall(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process_id}/status").read_text())
    return 1024 * int(line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cache", action="store_true", help="let the server keep vectors")
    parser.add_argument("--stream", type=int, metavar="TEXTS", help="measure memory instead")
    options = parser.parse_args()
    if options.stream:
        with server(keeps_vectors=True) as served:
            stream(served, options.stream)
        return
    texts = [f"order {n} arrived late" for n in range(options.texts)]
    with server(keeps_vectors=options.cache) as served:
        embeds = ways(served.url)
        embeds["simila_client"][0](texts if options.cache else texts[:256])  # warm, and known where vectors are kept
        passes: dict[str, list[Pass]] = {name: [] for name in embeds}
        for _ in range(options.rounds):
            for name, (embed, share) in embeds.items():
                passes[name].append(measured(embed, texts[: int(len(texts) * share)], served.process_id))
    ours = statistics.median(one.texts_per_second for one in passes["simila_client"])
    for name, taken in passes.items():
        speed = statistics.median(one.texts_per_second for one in taken)
        client = statistics.median(one.client_microseconds for one in taken)
        served_in = statistics.median(one.server_microseconds for one in taken)
        cost = f"client {client:7.1f}, server {served_in:7.1f} µs a text"
        print(f"{name:24} {speed:8.0f} texts/s   {ours / speed:5.1f}x   {cost}")  # noqa: T201


if __name__ == "__main__":
    main()
