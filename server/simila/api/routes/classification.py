"""`POST /v1/classify`."""

from fastapi import APIRouter

from simila.api.dependencies import FromServices
from simila.api.schemas.classification import ClassifyRequest, ClassifyResponse

router = APIRouter(tags=["classification"])


@router.post("/v1/classify", summary="Classify by label names (zero-shot)")
async def classify(request: ClassifyRequest, services: FromServices) -> ClassifyResponse:
    """Rank the labels for each input by the encoder's own scale and activation. The shape is Jina's."""
    classified = await services.zero_shot.classify(
        request.model,
        services.reader.inputs(request.input),
        request.labels,
        templates=request.templates,
        top_k=request.top_k,
    )
    return ClassifyResponse.of(classified)
