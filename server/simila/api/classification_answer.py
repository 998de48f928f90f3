"""Predictions to JSON, without a model a prediction: with 100 labels that takes seventeen times as long."""

import orjson
from fastapi import Response

from simila.api.accept import JSON
from simila.services.ranking import Classified


def classification_answer(classified: Classified) -> Response:
    """`ClassifyResponse` as JSON."""
    data = [
        {
            "object": "classification",
            "index": index,
            "prediction": predictions[0].label,
            "score": predictions[0].score,
            "predictions": predictions,
        }
        for index, predictions in enumerate(classified.predictions)
    ]
    return Response(orjson.dumps({"usage": {"total_tokens": classified.tokens}, "data": data}), media_type=JSON)
