"""What comes in damaged is refused or answered; the server stands, and serves the next as before."""

from collections import Counter
from collections.abc import Callable

import httpx
import numpy as np

from api.wire import embed, upsert, vectors
from malformed_inputs import requests

LITE = "simila-lite"
FEWEST = 500


def test_no_damaged_request_fails_the_server(api: httpx.Client, collection: Callable[[str], str]) -> None:
    path = collection(LITE)
    upsert(api, path, {"id": "kept", "text": "hello", "label": "a", "payload": {"d": 1}})
    before = vectors(embed(api, LITE, "hello"))
    statuses: Counter[int] = Counter()
    for request in requests(LITE, path.rpartition("/")[2]):
        answer = api.post(request.path, content=request.content, headers={"content-type": request.media_type})
        statuses[answer.status_code] += 1
        assert answer.status_code < 500, (request.path, request.content[:300], answer.text)
        if answer.is_error:
            detail = answer.json()["error"]
            assert detail["message"], request.content[:300]
            assert len(detail["message"]) < 3000
    assert statuses.total() >= FEWEST
    assert statuses[400] >= FEWEST // 2, statuses
    np.testing.assert_array_equal(vectors(embed(api, LITE, "hello")), before)
