"""Infinity's `POST /embeddings`."""

from fastapi import Request, Response

from simila.api.dependencies import FromServices
from simila.api.embedding_answer import DOCUMENTED_ANSWER
from simila.api.errors import ErrorBody
from simila.api.router import protocol_router
from simila.api.routes import embeddings
from simila.api.schemas.embeddings import EmbeddingsResponse
from simila.api.schemas.infinity import InfinityEmbeddingsRequest

router = protocol_router("infinity", ErrorBody)


@router.post(
    "/embeddings",
    summary="Embed texts, or images, as Infinity does",
    response_model=EmbeddingsResponse,
    responses={200: DOCUMENTED_ANSWER},
)
async def embed(body: InfinityEmbeddingsRequest, services: FromServices, request: Request) -> Response:
    """`POST /v1/embeddings` for Infinity's clients: strings are of the request's `modality`."""
    return await embeddings.embed(body.of_model(services.embedding.default_encoder()), services, request)
