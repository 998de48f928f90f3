"""`POST /v1/classify`."""

from fastapi import Response

from simila.api.classification_answer import classification_answer
from simila.api.dependencies import FromServices
from simila.api.router import v1_router
from simila.api.schemas.classification import ClassifyRequest, ClassifyResponse

router = v1_router("classification")


@router.post("/classify", summary="Classify by label names (zero-shot)", response_model=ClassifyResponse)
async def classify(body: ClassifyRequest, services: FromServices) -> Response:
    """Rank the labels for each input by the encoder's own scale and activation. The shape is Jina's."""
    classified = await services.zero_shot.classify(
        body.model,
        services.reader.inputs(body.input),
        body.labels,
        templates=body.templates,
        top_k=body.top_k,
    )
    return classification_answer(classified)
