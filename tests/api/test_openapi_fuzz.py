"""Requests made from the OpenAPI document itself, sound and unsound: none makes the server fail.

`FUZZ_EXAMPLES` is how many are made for each operation; `make fuzz` makes more.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable

from api.conftest import serving
from simila.settings import LimitSettings, Settings

MINILM = "all-minilm-l6-v2"
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "1"))
# Without its encoder a server can only say 503, whatever comes next; and backups are no JSON.
LEFT_OUT = ("/unload", "/backup")
TIMEOUT = "x-request-timeout"


@pytest.fixture(scope="module")
def client(data_folder: Callable[[], Path]) -> Iterator[httpx.Client]:
    limits = LimitSettings(max_body_bytes=1_000_000)
    with (
        serving(Settings(data_dir=data_folder(), encoders=(MINILM,), limits=limits)) as url,
        httpx.Client(base_url=url, timeout=60) as client,
    ):
        client.put("/v1/collections/fuzz", json={"encoder": MINILM})
        yield client


def test_no_request_of_the_document_makes_the_server_fail(client: httpx.Client) -> None:
    schema = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
    asked = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path.endswith(LEFT_OUT):
            continue
        for mode in schemathesis.GenerationMode:
            asked += _ask(client, operation.as_strategy(generation_mode=mode))
    assert asked >= 50 * EXAMPLES
    assert client.get("/readyz").status_code == httpx.codes.OK


def _ask(client: httpx.Client, cases: st.SearchStrategy) -> int:
    """How many cases were asked; each was answered by other than 5xx."""
    asked = 0

    @seed(1)
    @settings(
        max_examples=EXAMPLES,
        phases=[Phase.generate],
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(cases)
    def ask(case: schemathesis.Case) -> None:
        nonlocal asked
        case.headers.pop(TIMEOUT, None)  # a deadline that nobody can keep is rightly missed, with 504
        answer = case.call(base_url=str(client.base_url))
        asked += 1
        assert answer.status_code < 500, f"{case.as_curl_command()}: {answer.status_code} {answer.text[:500]}"

    with suppress(Unsatisfiable):  # whatever is sent to some routes is sound
        ask()
    return asked
