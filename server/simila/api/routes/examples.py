"""`/v1/collections/{name}/classify` and `/forget`: what labelled items teach, and how it is unlearned."""

from fastapi import Response

from simila.api.classification_answer import classification_answer
from simila.api.dependencies import FromServices
from simila.api.router import v1_router
from simila.api.schemas.classification import ClassifyResponse
from simila.api.schemas.examples import CollectionClassifyRequest, ForgetRequest, ForgetResponse

router = v1_router("examples", prefix="/collections/{name}")


@router.post("/classify", summary="Classify by the collection's labelled items", response_model=ClassifyResponse)
async def classify(name: str, body: CollectionClassifyRequest, services: FromServices) -> Response:
    """Rank the labels by the nearest class mean (Janson et al. 2022), nearest items, or a blend with label names."""
    classified = await services.by_example.classify(
        name,
        services.reader.sources(body.input),
        body.method_options(body.filter),
        rules=body.rules(),
        false_rejection_rate=body.unknown.false_rejection_rate if body.unknown else None,
    )
    return classification_answer(classified)


@router.post("/forget", summary="Forget items, a class, or all that match, without a trace")
async def forget(name: str, body: ForgetRequest, services: FromServices) -> ForgetResponse:
    """Delete them from items, index, class means and caches, and write the files anew so that no byte of them is left.

    That takes as long as to read and write the collection; asked again, it does the same to what is left.
    """
    return ForgetResponse.of(await services.forgetting.forget(name, body.to_forget()))
