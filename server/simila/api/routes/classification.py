"""`POST /v1/classify`."""

from simila.api.dependencies import FromServices
from simila.api.router import v1_router
from simila.api.schemas.classification import ClassifyRequest, ClassifyResponse

router = v1_router("classification")


@router.post("/classify", summary="Classify by label names (zero-shot)")
async def classify(body: ClassifyRequest, services: FromServices) -> ClassifyResponse:
    """Rank the labels for each input by the encoder's own scale and activation. The shape is Jina's."""
    classified = await services.zero_shot.classify(
        body.model,
        services.reader.inputs(body.input),
        body.labels,
        templates=body.templates,
        top_k=body.top_k,
    )
    return ClassifyResponse.of(classified)
