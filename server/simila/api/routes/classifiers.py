"""`POST /v1/train` and `/v1/classifiers`: classifiers that learn from examples. The shapes are Jina's."""

from http import HTTPStatus

from fastapi import Response

from simila.api.access import check_collection, may_see
from simila.api.dependencies import FromServices
from simila.api.router import v1_router
from simila.api.schemas.classification import ClassifyUsage
from simila.api.schemas.classifiers import (
    ClassifierEntry,
    PriorsRequest,
    PriorsResponse,
    TrainRequest,
    TrainResponse,
)
from simila.services.stream_priors import StreamPriors

router = v1_router("classification")


@router.post(
    "/train",
    summary="Train a classifier",
    responses={HTTPStatus.ACCEPTED: {"model": TrainResponse, "description": "It is being trained"}},
)
async def train(request: TrainRequest, services: FromServices, response: Response) -> TrainResponse:
    """Make a classifier of labelled inputs or of a collection, or add examples to a nearest-mean one.

    `keywords`, `pseudo_labels` and `label_propagation` learn from items without labels too: they move the prototypes of
    `labels`, or the means of the items that have labels, to the items that are most surely theirs. Probes, and
    whatever learns from a collection, are trained in the background: `GET /v1/classifiers/{id}` says how far they are.
    """
    if request.collection is not None:
        check_collection(request.collection)
        trained = await services.training.train_on(request.collection, request.filter, request.plan(services.reader))
    elif request.classifier_id is not None:
        check_collection(services.classifiers.collection_of(request.classifier_id))
        trained = await services.training.add(request.classifier_id, *request.examples(services.reader))
    else:
        trained = await services.training.train(
            request.model or "", *request.examples(services.reader), request.plan(services.reader)
        )
    response.status_code = HTTPStatus.ACCEPTED if trained.state.record.state == "training" else HTTPStatus.OK
    return TrainResponse.of(trained)


@router.get("/classifiers", summary="List the trained classifiers")
async def list_classifiers(services: FromServices) -> list[ClassifierEntry]:
    """The oldest first. One that cannot be read has the state `unavailable`, an `error`, and no more."""
    states = services.classifiers.all()
    return [
        ClassifierEntry.of(one, state, services.training_jobs.progress(one))
        for one, state in states.items()
        if may_see(services.classifiers.collection_of(one))
    ]


@router.get("/classifiers/{classifier_id}", summary="Describe a trained classifier")
async def get_classifier(classifier_id: str, services: FromServices) -> ClassifierEntry:
    check_collection(services.classifiers.collection_of(classifier_id))
    state = services.classifiers.get(classifier_id)
    return ClassifierEntry.of(classifier_id, state, services.training_jobs.progress(classifier_id))


@router.delete("/classifiers/{classifier_id}", summary="Delete a trained classifier", status_code=HTTPStatus.NO_CONTENT)
async def delete_classifier(classifier_id: str, services: FromServices) -> None:
    check_collection(services.classifiers.collection_of(classifier_id))
    await services.training.delete(classifier_id)


@router.put("/classifiers/{classifier_id}/priors", summary="Say or estimate how frequent a classifier's classes are")
async def set_priors(classifier_id: str, body: PriorsRequest, services: FromServices) -> PriorsResponse:
    """Estimate them from unlabelled inputs (Saerens et al. 2002), or take those given, and keep them.

    They correct the classifier's probabilities in all requests that name no `priors` of their own.
    """
    check_collection(services.classifiers.collection_of(classifier_id))
    if body.input is not None:
        found = await services.stream_priors.estimate(classifier_id, services.reader.sources(body.input))
    else:
        found = StreamPriors(await services.stream_priors.keep(classifier_id, body.priors), inputs=0, tokens=0)
    return PriorsResponse(
        classifier_id=classifier_id,
        priors=found.priors,
        inputs=found.inputs,
        usage=ClassifyUsage(total_tokens=found.tokens),
    )


@router.delete(
    "/classifiers/{classifier_id}/priors",
    summary="Let a classifier's classes be equally frequent again",
    status_code=HTTPStatus.NO_CONTENT,
)
async def delete_priors(classifier_id: str, services: FromServices) -> None:
    check_collection(services.classifiers.collection_of(classifier_id))
    await services.stream_priors.keep(classifier_id, None)
