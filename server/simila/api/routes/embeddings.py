"""`POST /v1/embeddings`."""

from fastapi import APIRouter, Response

from simila.api.dependencies import FromServices
from simila.api.embedding_json import embeddings_json
from simila.api.schemas.embeddings import EmbeddingsRequest, EmbeddingsResponse

router = APIRouter(tags=["embeddings"])


@router.post(
    "/v1/embeddings",
    summary="Embed texts and images",
    response_model=EmbeddingsResponse,
    response_model_exclude_none=True,
)
async def embed(request: EmbeddingsRequest, services: FromServices) -> Response:
    """Unit vectors of texts, token ids and images, in the order given. The shape is OpenAI's, with images added."""
    embedded = await services.embedding.embed(
        request.model,
        services.reader.inputs(request.input),
        truncate=request.truncate,
        dimensions=request.dimensions,
    )
    body = embeddings_json(embedded, model=request.model, encoding_format=request.encoding_format)
    return Response(body, media_type="application/json")
