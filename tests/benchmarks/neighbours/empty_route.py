"""The server, but its searches look for nothing: what HTTP, and reading a search, leave to the rest.

    python empty_route.py serve [OPTIONS OF simila serve]

The answer is as long as one of ten results, and always the same.
"""

from typing import Any

import orjson
from fastapi import Response

from simila.__main__ import main
from simila.api.direct_route import DirectRoute
from simila.api.routes import search

HIT = {"id": "123456", "score": 0.8123456835746765, "label": None, "payload": {"bucket": 456}}
ANSWER = orjson.dumps({"results": [HIT] * 10, "next": "x" * 120})


async def found_nothing(**_: Any) -> Response:
    return Response(ANSWER, media_type="application/json")


if __name__ == "__main__":
    for route in search.router.routes:
        if isinstance(route, DirectRoute) and route.path.endswith("/search"):
            route.endpoint = found_nothing
    main()
