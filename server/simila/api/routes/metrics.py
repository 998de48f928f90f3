"""`GET /metrics`, for Prometheus."""

import asyncio

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from simila.api.access import may_see
from simila.api.collection_metrics import CollectionMetrics
from simila.api.dependencies import FromServices
from simila.api.gpu_metrics import GpuMetrics

router = APIRouter(tags=["health"])


@router.get("/metrics", summary="Metrics for Prometheus", response_class=Response)
async def metrics(services: FromServices) -> Response:
    """Of collections those that the key is for."""
    states = await services.collections.states()
    collections = CollectionMetrics({name: state for name, state in states.items() if may_see(name)})
    text = await asyncio.to_thread(_text, collections)
    return Response(text, media_type=CONTENT_TYPE_LATEST)


def _text(collections: CollectionMetrics) -> bytes:
    return generate_latest() + generate_latest(collections) + generate_latest(GpuMetrics())
