"""`/v1/collections/{name}/classify`, `/evaluate` and `/forget`: what labelled items teach, and how it is unlearned."""

import asyncio

from fastapi import Request, Response

from simila.api.accept import JSON, PNG, prefers
from simila.api.classification_answer import classification_answer
from simila.api.dependencies import FromServices
from simila.api.evaluation_picture import evaluation_picture
from simila.api.router import v1_router
from simila.api.schemas.classification import ClassifyResponse
from simila.api.schemas.examples import (
    CollectionClassifyRequest,
    EvaluateRequest,
    EvaluateResponse,
    ForgetRequest,
    ForgetResponse,
)

router = v1_router("examples", prefix="/collections/{name}")


@router.post("/classify", summary="Classify by the collection's labelled items", response_model=ClassifyResponse)
async def classify(name: str, body: CollectionClassifyRequest, services: FromServices) -> Response:
    """Rank the labels by the nearest class mean (Janson et al. 2022), nearest items, or a blend with label names."""
    classified = await services.by_example.classify(
        name,
        services.reader.sources(body.input),
        body.method_options(body.filter),
        views=body.views,
        rules=body.rules(),
        false_rejection_rate=body.unknown.false_rejection_rate if body.unknown else None,
        fit_thresholds=bool(body.multi_label and body.multi_label.fitted),
    )
    return classification_answer(classified)


@router.post(
    "/evaluate",
    summary="Measure how well the labelled items classify",
    response_model=EvaluateResponse,
    responses={200: {"content": {PNG: {"schema": {"type": "string", "format": "binary"}}}}},
)
async def evaluate(name: str, body: EvaluateRequest, services: FromServices, request: Request) -> Response:
    """Accuracy, macro-F1, each class, the confusion matrix, calibration, and the unknown told from the known.

    With `Accept: image/png` the answer is a picture of the confusion matrix and of the calibration.
    """
    report = await services.evaluation.evaluate(name, body.how())
    if prefers(request.headers.get("accept", ""), PNG):
        picture = await asyncio.to_thread(evaluation_picture, report, f"{name}: {body.method}")
        return Response(picture, media_type=PNG)
    answer = await asyncio.to_thread(lambda: EvaluateResponse.of(report).model_dump_json())
    return Response(answer, media_type=JSON)


@router.post("/forget", summary="Forget items, a class, or all that match, without a trace")
async def forget(name: str, body: ForgetRequest, services: FromServices) -> ForgetResponse:
    """Delete them from items, index, class means and caches, and write the files anew so that no byte of them is left.

    That takes as long as to read and write the collection; asked again, it does the same to what is left.
    """
    return ForgetResponse.of(await services.forgetting.forget(name, body.to_forget()))
