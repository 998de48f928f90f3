"""`POST /v1/classify`."""

from fastapi import Response

from simila.api.access import check_collection
from simila.api.classification_answer import classification_answer
from simila.api.dependencies import FromServices
from simila.api.known_labels import KnownLabelsRoute
from simila.api.router import v1_router
from simila.api.schemas.classification import ClassifyRequest, ClassifyResponse

router = v1_router("classification", route_class=KnownLabelsRoute)


@router.post("/classify", summary="Classify by labels, or by a trained classifier", response_model=ClassifyResponse)
async def classify(body: ClassifyRequest, services: FromServices) -> Response:
    """Rank the classes for each input, and decide by the rules of the request. The shape is Jina's."""
    inputs, rules = services.reader.sources(body.input), body.rules()
    if body.classifier_id is not None:
        check_collection(services.classifiers.collection_of(body.classifier_id))
        classified = await services.classifiers.classify(body.classifier_id, inputs, rules, views=body.views)
        return classification_answer(classified)
    classified = await services.zero_shot.classify(
        body.model or "",
        inputs,
        body.classes(services.reader),
        templates=body.templates,
        named_templates=body.template_set,
        rules=rules,
        views=body.views,
    )
    return classification_answer(classified)
