"""The documentation's examples, sent one after the other: a request to each route."""

import json
import time
from collections.abc import Iterable, Iterator

import httpx

from simila.api.openapi_examples import CLASSIFIER, EXAMPLES, Example

PATIENCE_SECONDS = 30


def told(api: httpx.Client, examples: Iterable[Example] = EXAMPLES) -> Iterator[tuple[Example, httpx.Response]]:
    """Each example with its answer; what goes on behind an answer has ended before the next is asked."""
    answers: dict[str, httpx.Response] = {}
    for example in examples:
        classifier = answers["POST /v1/train"].json()["classifier_id"] if "POST /v1/train" in answers else ""
        answers[example.operation] = response = ask(api, example, classifier, answers)
        yield example, response
        if example.operation.endswith(("/migrate", "/map")):
            wait_for(api, f"/v1/collections/shoes/{example.operation.rpartition('/')[2]}")


def ask(api: httpx.Client, example: Example, classifier: str, answers: dict[str, httpx.Response]) -> httpx.Response:
    method, path = example.operation.split()
    for name, value in example.path.items():
        path = path.replace(f"{{{name}}}", value.replace(CLASSIFIER, classifier))
    query = {name: json.dumps(value) if isinstance(value, bool) else value for name, value in example.query.items()}
    if example.body_from:
        source = answers[example.body_from]
        headers = {"content-type": source.headers["content-type"]}
        return api.request(method, path, params=query, content=source.content, headers=headers)
    return api.request(method, path, params=query, json=example.body)


def wait_for(api: httpx.Client, job: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (state := api.get(job).json()["state"]) == "running":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert state == "done"
