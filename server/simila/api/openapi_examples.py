"""One request for each route, as the documentation shows it. In this order they tell a story, which a test runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TEXTS, JOINT = "all-minilm-l6-v2", "simila-lite"
GREY_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
CLASSIFIER = "0b3e5a4c9d1f4f0e8a7b6c5d4e3f2a1b"
"""Stands for the id that training answers with."""


@dataclass(frozen=True)
class Example:
    """`operation` is a method and a path's pattern; a body that is no JSON is the answer to `body_from`, sent back."""

    operation: str
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    body_from: str | None = None


SHOES = {"name": "shoes"}
MODEL = {"model": JOINT}
VERSION = {"model": TEXTS, "version": "1"}
TRAINED = {"classifier_id": CLASSIFIER}
TENSOR = {"name": "text", "shape": [2], "datatype": "BYTES", "data": ["a red dress", "a scarlet gown"]}
ITEMS = [
    {"id": "1", "text": "red running shoes", "label": "shoe", "payload": {"price": 80, "colour": "red"}},
    {"id": "2", "text": "blue sneakers", "label": "shoe", "payload": {"price": 60, "colour": "blue"}},
    {"id": "3", "text": "a woollen scarf", "label": "scarf", "payload": {"price": 20, "colour": "red"}},
    {"id": "4", "text": "a silk scarf", "label": "scarf", "payload": {"price": 35, "colour": "blue"}},
    {"id": "5", "image": GREY_PIXEL},
]

EXAMPLES = (
    Example("GET /healthz"),
    Example("GET /readyz"),
    Example("GET /metrics"),
    Example("GET /v1/models"),
    Example("GET /v1/models/{model}", MODEL),
    Example("POST /v1/embeddings", body={"model": JOINT, "input": [{"text": "a red dress"}, {"image": GREY_PIXEL}]}),
    Example(
        "POST /v1/rerank",
        body={
            "model": TEXTS,
            "query": "How do plants make food?",
            "documents": ["The market fell on Monday.", "Photosynthesis turns light into sugar."],
            "top_n": 1,
            "return_documents": True,
        },
    ),
    Example("POST /v1/classify", body={"model": TEXTS, "input": ["sushi rolls"], "labels": ["food", "nature"]}),
    Example(
        "POST /v1/train",
        body={
            "model": TEXTS,
            "input": [{"text": "fresh sushi", "label": "food"}, {"text": "a forest in fog", "label": "nature"}],
        },
    ),
    Example("GET /v1/classifiers"),
    Example("GET /v1/classifiers/{classifier_id}", TRAINED),
    Example("PUT /v1/classifiers/{classifier_id}/priors", TRAINED, body={"priors": {"food": 0.9, "nature": 0.1}}),
    Example("DELETE /v1/classifiers/{classifier_id}/priors", TRAINED),
    Example("DELETE /v1/classifiers/{classifier_id}", TRAINED),
    Example("PUT /v1/collections/{name}", SHOES, body={"encoder": JOINT, "store_inputs": True}),
    Example("POST /v1/collections/{name}/items", SHOES, body={"items": ITEMS}),
    Example("GET /v1/collections"),
    Example("GET /v1/collections/{name}", SHOES),
    Example("PUT /v1/collections/{name}/indexes/{key}", {**SHOES, "key": "price"}),
    Example("POST /v1/collections/{name}/count", SHOES, body={"filter": {"price": {"$lt": 70}}}),
    Example("GET /v1/collections/{name}/items", SHOES, {"limit": 2}),
    Example("POST /v1/collections/{name}/items/scroll", SHOES, body={"filter": {"colour": "red"}, "limit": 10}),
    Example("GET /v1/collections/{name}/items/{id}", {**SHOES, "id": "1"}, {"vector": True}),
    Example("PATCH /v1/collections/{name}/items/{id}", {**SHOES, "id": "2"}, body={"label": "shoe"}),
    Example("PATCH /v1/collections/{name}/items", SHOES, body={"ids": ["1", "2"], "label": "shoe"}),
    Example("GET /v1/collections/{name}/thumbnails/{id}", {**SHOES, "id": "5"}, {"size": 64}),
    Example("POST /v1/collections/{name}/map", SHOES, body={"method": "pca"}),
    Example("GET /v1/collections/{name}/map", SHOES),
    Example("GET /v1/collections/{name}/map/points", SHOES, {"values_of": "colour"}),
    Example("POST /v1/collections/{name}/items/delete", SHOES, body={"ids": ["5"]}),
    Example(
        "POST /v1/collections/{name}/search",
        SHOES,
        body={"text": "something for jogging", "filter": {"price": {"$lte": 80}}, "limit": 2, "with_payload": True},
    ),
    Example(
        "POST /v1/collections/{name}/search/batch",
        SHOES,
        body={"searches": [{"text": "for cold days", "limit": 1}, {"id": "1", "limit": 1}]},
    ),
    Example("POST /v1/collections/{name}/classify", SHOES, body={"input": ["trainers"]}),
    Example("POST /v1/collections/{name}/evaluate", SHOES, body={"method": "nearest_mean"}),
    Example("GET /v1/collections/{name}/export", SHOES, {"format": "parquet"}),
    Example("GET /v1/collections/{name}/backup", SHOES),
    Example(
        "PUT /v1/collections/{name}/backup",
        SHOES,
        {"replace": True},
        body_from="GET /v1/collections/{name}/backup",
    ),
    Example("POST /v1/collections/{name}/migrate", SHOES, body={"encoder": TEXTS}),
    Example("GET /v1/collections/{name}/migrate", SHOES),
    Example("DELETE /v1/collections/{name}/indexes/{key}", {**SHOES, "key": "price"}),
    Example("POST /v1/collections/{name}/forget", SHOES, body={"ids": ["4"]}),
    Example("DELETE /v1/collections/{name}/items/{id}", {**SHOES, "id": "3"}),
    Example("DELETE /v1/collections/{name}", SHOES),
    Example("PUT /v1/aliases/{alias}", {"alias": "text-embedding-3-small"}, body={"model": TEXTS}),
    Example("GET /v1/aliases"),
    Example("DELETE /v1/aliases/{alias}", {"alias": "text-embedding-3-small"}),
    Example("POST /v1/models/{model}/unload", MODEL, body={}),
    Example("POST /v1/models/{model}/load", MODEL, body={}),
    Example(
        "POST /embeddings", body={"model": JOINT, "input": [f"data:image/png;base64,{GREY_PIXEL}"], "modality": "image"}
    ),
    Example("POST /", body={"inputs": "a red dress"}),
    Example("POST /tei/{model}", MODEL, body={"inputs": "a red dress"}),
    Example("POST /embed", body={"inputs": ["a red dress", "a scarlet gown"]}),
    Example("POST /tei/{model}/embed", MODEL, body={"inputs": "a red dress", "dimensions": 64}),
    *(
        Example(
            operation,
            path,
            body={"inputs": {"source_sentence": "a red dress", "sentences": ["a scarlet gown", "a blue car"]}},
        )
        for operation, path in (("POST /similarity", {}), ("POST /tei/{model}/similarity", MODEL))
    ),
    Example("POST /tokenize", body={"inputs": ["a red dress"]}),
    Example("POST /tei/{model}/tokenize", MODEL, body={"inputs": "a red dress", "add_special_tokens": False}),
    Example("GET /health"),
    Example("GET /info"),
    Example("GET /tei/{model}/info", MODEL),
    Example("GET /v2"),
    Example("GET /v2/health/live"),
    Example("GET /v2/health/ready"),
    Example("POST /v2/repository/index", body={"ready": True}),
    Example("GET /v2/models/{model}", MODEL),
    Example("GET /v2/models/{model}/config", MODEL),
    Example("GET /v2/models/{model}/ready", MODEL),
    Example("POST /v2/models/{model}/infer", MODEL, body={"id": "42", "inputs": [TENSOR]}),
    Example("GET /v2/models/{model}/versions/{version}", VERSION),
    Example("GET /v2/models/{model}/versions/{version}/config", VERSION),
    Example("GET /v2/models/{model}/versions/{version}/ready", VERSION),
    Example("POST /v2/models/{model}/versions/{version}/infer", VERSION, body={"inputs": [TENSOR]}),
    Example("POST /v2/repository/models/{model}/unload", MODEL),
    Example("POST /v2/repository/models/{model}/load", MODEL),
)


def with_examples(document: dict[str, Any]) -> dict[str, Any]:
    """Put the examples into an OpenAPI document, as values of parameters and of JSON bodies."""
    for example in EXAMPLES:
        method, path = example.operation.split()
        operation = document["paths"][path][method.lower()]
        given = {**example.path, **example.query}
        for parameter in operation.get("parameters", ()):
            if parameter["name"] in given:
                parameter["example"] = given[parameter["name"]]
        if example.body is not None:
            operation["requestBody"]["content"]["application/json"]["example"] = example.body
    return document
