"""`POST /v1/collections/{name}/items` as an Arrow IPC stream: ready vectors, thousands in one request."""

import asyncio
from typing import Any

from fastapi import Request, Response

from simila.api.accept import ARROW_STREAM
from simila.api.arrow_items import read_items
from simila.api.dependencies import services_of
from simila.api.direct_route import DirectRoute, Handler
from simila.api.schemas.collections import UpsertResponse

FINGERPRINT_HEADER = "X-Simila-Fingerprint"


ARROW_BODY: dict[str, Any] = {
    "parameters": [
        {
            "name": FINGERPRINT_HEADER,
            "in": "header",
            "required": False,
            "schema": {"type": "string"},
            "description": "Of an Arrow stream: the fingerprint of the encoder that computed the vectors; another than"
            " the collection's is refused with 409.",
        }
    ],
    "requestBody": {
        "content": {
            ARROW_STREAM: {
                "schema": {"type": "string", "format": "binary"},
                "description": "An uncompressed Arrow IPC stream with the columns id (string), vector (list of float16,"
                " float32 or float64) and, if wanted, label (string) and payload (string, a JSON object).",
            }
        }
    },
}


class JsonOrArrow(DirectRoute):
    """The upsert of items: the media type of the body decides how it is read."""

    def get_route_handler(self) -> Handler:
        handle_json = super().get_route_handler()

        async def handle(request: Request) -> Response:
            media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            is_arrow = self.body_type is not None and media_type == ARROW_STREAM
            return await (_upsert_arrow(request) if is_arrow else handle_json(request))

        return handle


async def _upsert_arrow(request: Request) -> Response:
    ingestion = services_of(request).ingestion
    # Megabytes are read in a thread: the loop has others to answer.
    columns = await asyncio.to_thread(read_items, await request.body(), ingestion.limits)
    name = request.path_params["name"]
    sequence = await ingestion.upsert(name, columns, fingerprint=request.headers.get(FINGERPRINT_HEADER))
    body = UpsertResponse(upserted=len(columns.ids), sequence=sequence)
    return Response(body.model_dump_json(), media_type="application/json")
