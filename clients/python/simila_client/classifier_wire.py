"""The wire format of classifiers: what each call means is documented at the shell's method of its name."""

from collections.abc import Mapping, Sequence

from simila_client.bodies import collection_path, content_body, listed, nothing, path_segment, with_given
from simila_client.evaluations import ClassFigures, Evaluation, Forgotten
from simila_client.request import Json, Request
from simila_client.results import Classification, Classifier, Content, Example, Prediction, Refinement, Source, Trained
from simila_client.rules import ClassSource, KeywordClass, Rules, VectorClass


def classify(
    inputs: Sequence[Source],
    *,
    model: str,
    labels: Sequence[ClassSource],
    templates: Sequence[str] | None = None,
    rules: Rules | None = None,
    **options: Json,
) -> Request[tuple[Classification, ...]]:
    contents = [content_body(one) for one in listed("inputs", inputs)]
    body = {"model": model, "input": contents, "labels": class_bodies(labels), **rules_body(rules)}
    prompts = None if templates is None else listed("templates", templates)
    return Request(
        "POST", "/v1/classify", _classifications, with_given(body, templates=prompts, **options), is_pure=True
    )


def classify_trained(
    classifier_id: str, inputs: Sequence[Content], *, rules: Rules | None = None, **options: Json
) -> Request[tuple[Classification, ...]]:
    body = {"classifier_id": classifier_id, "input": [content_body(one) for one in listed("inputs", inputs)]}
    return Request(
        "POST", "/v1/classify", _classifications, with_given(body | rules_body(rules), **options), is_pure=True
    )


def train(examples: Sequence[Example], **options: Json) -> Request[Trained]:
    rows = [{**content_body(one.content), "label": one.label} for one in listed("examples", examples)]
    return Request("POST", "/v1/train", _trained, with_given({"input": rows}, **options))


def train_on(collection_name: str, *, labels: Sequence[ClassSource] | None = None, **options: Json) -> Request[Trained]:
    classes = None if labels is None else class_bodies(labels)
    return Request(
        "POST", "/v1/train", _trained, with_given({"collection": collection_name}, labels=classes, **options)
    )


def set_priors(
    classifier_id: str, *, inputs: Sequence[Content] | None = None, priors: Mapping[str, float] | None = None
) -> Request[dict[str, float]]:
    contents = None if inputs is None else [content_body(one) for one in listed("inputs", inputs)]
    body = with_given({}, input=contents, priors=priors)
    return Request("PUT", _priors_path(classifier_id), lambda answer: dict(answer["priors"]), body)


def delete_priors(classifier_id: str) -> Request[None]:
    return Request("DELETE", _priors_path(classifier_id), nothing)


def classifiers() -> Request[tuple[Classifier, ...]]:
    return Request("GET", "/v1/classifiers", lambda body: tuple(_classifier(one) for one in body))


def classifier(classifier_id: str) -> Request[Classifier]:
    return Request("GET", f"/v1/classifiers/{path_segment(classifier_id)}", _classifier)


def delete_classifier(classifier_id: str) -> Request[None]:
    return Request("DELETE", f"/v1/classifiers/{path_segment(classifier_id)}", nothing)


def classify_by_example(
    name: str, inputs: Sequence[Content], *, rules: Rules | None = None, **options: Json
) -> Request[tuple[Classification, ...]]:
    body = {"input": [content_body(one) for one in listed("inputs", inputs)]}
    return Request(
        "POST", collection_path(name, "classify"), _classifications, with_given(body | rules_body(rules), **options)
    )


def evaluate(name: str, **options: Json) -> Request[Evaluation]:
    return Request("POST", collection_path(name, "evaluate"), _evaluation, with_given({}, **options))


def evaluation_picture(name: str, **options: Json) -> Request[None]:
    return Request(
        "POST", collection_path(name, "evaluate"), nothing, with_given({}, **options), headers={"accept": "image/png"}
    )


def forget(name: str, **what: Json) -> Request[Forgotten]:
    return Request("POST", collection_path(name, "forget"), _forgotten, with_given({}, **what))


def class_bodies(classes: Sequence[ClassSource]) -> list[Json]:
    return [_class_body(one) for one in listed("labels", classes)]


def rules_body(rules: Rules | None) -> dict[str, Json]:
    """The fields of a request that say how scores become decisions; none without rules."""
    if rules is None:
        return {}
    metric = rules.label_metric and {
        "labels": list(rules.label_metric.labels),
        "distances": [list(map(float, row)) for row in rules.label_metric.distances],
    }
    tree = rules.label_tree and with_given({"parents": dict(rules.label_tree)}, confidence=rules.confidence)
    return with_given(
        {},
        multi_label=_multi_label(rules.thresholds),
        unknown=None if rules.unknown_below is None else {"threshold": rules.unknown_below},
        priors=rules.priors,
        label_metric=metric,
        label_tree=tree,
    )


def _multi_label(thresholds: float | Mapping[str, float] | None) -> Json:
    if thresholds is None:
        return None
    return {"thresholds" if isinstance(thresholds, Mapping) else "threshold": thresholds}


def _class_body(one: ClassSource) -> Json:
    if isinstance(one, KeywordClass):
        return {"label": one.label, "phrases": listed("phrases", one.phrases)}
    if isinstance(one, VectorClass):
        return {"label": one.label, **content_body(one.vector)}
    return one


def _priors_path(classifier_id: str) -> str:
    return f"/v1/classifiers/{path_segment(classifier_id)}/priors"


def _classifications(body: Json) -> tuple[Classification, ...]:
    return tuple(
        Classification(
            label=row["prediction"],
            score=row["score"],
            predictions=tuple(Prediction(one["label"], one["score"], one["cosine"]) for one in row["predictions"]),
            labels=tuple(row["labels"]) if "labels" in row else None,
            familiarity=row.get("familiarity"),
            expected_squared_distance=row.get("expected_squared_distance"),
        )
        for row in sorted(body["data"], key=lambda row: row["index"])
    )


def _evaluation(body: Json) -> Evaluation:
    open_set = body["open_set"]
    return Evaluation(
        method=body["method"],
        protocol=body["protocol"],
        items=body["items"],
        accuracy=body["accuracy"],
        macro_f1=body["macro_f1"],
        classes=tuple(ClassFigures(**one) for one in body["classes"]),
        confusion=tuple(map(tuple, body["confusion"])),
        calibration_error=body["calibration"]["error"],
        open_set_auroc=open_set and open_set["auroc"],
    )


def _forgotten(body: Json) -> Forgotten:
    return Forgotten(
        items=body["forgotten"],
        ids=tuple(body["ids"]),
        classes=body["classes"],
        remaining=body["remaining"],
        verified=body["verified"],
        stale_classifiers=tuple(body["stale_classifiers"]),
        unreadable_classifiers=tuple(body["unreadable_classifiers"]),
    )


def _trained(body: Json) -> Trained:
    return Trained(body["classifier_id"], body["num_samples"], body["state"])


def _classifier(body: Json) -> Classifier:
    return Classifier(
        id=body["classifier_id"],
        state=body["state"],
        error=body["error"],
        model=body["model_name"],
        method=body["method"],
        labels=tuple(body["labels"] or ()),
        num_samples=body["num_samples"],
        metadata=body["metadata"],
        collection=body.get("collection"),
        priors=body.get("priors"),
        refinement=Refinement(**found) if (found := body.get("refinement")) else None,
    )
