"""Predictions to JSON, without a model a prediction: with 100 labels that takes seventeen times as long."""

from typing import Any

import orjson
from fastapi import Response

from simila.api.accept import JSON
from simila.domain.results import Ranking
from simila.services.ranking import Classified, Decision


def classification_answer(classified: Classified) -> Response:
    """`ClassifyResponse` as JSON; what no rule of the request has set is left out."""
    decisions = classified.decisions or [Decision(row.labels[0], row.scores[0], row) for row in classified.predictions]
    data = [
        {
            "object": "classification",
            "index": index,
            "prediction": decision.prediction,
            "score": decision.score,
            "predictions": _written(decision.predictions),
            **decision.details,
        }
        for index, decision in enumerate(decisions)
    ]
    priors = {} if classified.priors is None else {"priors": classified.priors}
    answer = {"usage": {"total_tokens": classified.tokens}, "data": data, **priors}
    return Response(orjson.dumps(answer), media_type=JSON)


def _written(ranking: Ranking) -> list[dict[str, Any]]:
    rows = zip(ranking.labels, ranking.scores, ranking.cosines, strict=True)
    return [{"label": label, "score": score, "cosine": cosine} for label, score, cosine in rows]
