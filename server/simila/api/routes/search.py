"""`/v1/collections/{name}/search`."""

from fastapi import Response

from simila.api.dependencies import FromServices
from simila.api.router import v1_router
from simila.api.schemas.base import ListBody
from simila.api.schemas.search import SearchBatchEntry, SearchBatchRequest, SearchRequest, SearchResponse
from simila.api.search_answer import search_answer, search_batch_answer

router = v1_router("search", prefix="/collections/{name}/search")


@router.post(
    "",
    summary="Find the items most like texts, images, vectors or stored items",
    response_model=SearchResponse,
    response_model_exclude_none=True,
)
async def search(name: str, body: SearchRequest, services: FromServices) -> Response:
    """The most similar items first, among those that match the filter; min(limit, matches) of them."""
    return search_answer(await services.search.search(name, body.search(services.reader)), body)


@router.post("/batch", summary="Search many times at once", response_model=ListBody[SearchBatchEntry])
async def search_batch(name: str, body: SearchBatchRequest, services: FromServices) -> Response:
    """The answers in the order of the searches, which run side by side."""
    searches = body.searches_or_errors(services.reader)
    found = await services.search.search_all(name, searches, body.on_error)
    return search_batch_answer(found, body.searches)
