"""What was found, to JSON, without a model a result."""

import json
from collections.abc import Sequence
from typing import Any

import orjson
from fastapi import Response

from simila.api.accept import JSON
from simila.api.errors import detail_of
from simila.api.schemas.search import SearchRequest
from simila.domain.errors import SimilaError
from simila.domain.results import Hit
from simila.services.search_results import Found


def search_answer(found: Found, request: SearchRequest) -> Response:
    """`SearchResponse` as JSON."""
    return _response(_answer(found, request))


def search_batch_answer(found: Sequence[Found | SimilaError], requests: Sequence[SearchRequest]) -> Response:
    """A list of `SearchBatchEntry` as JSON."""
    data = [
        {"index": index, "error": detail_of(each).model_dump()}
        if isinstance(each, SimilaError)
        else {"index": index, **_answer(each, request)}
        for index, (each, request) in enumerate(zip(found, requests, strict=True))
    ]
    return _response({"object": "list", "data": data})


def _response(body: dict[str, Any]) -> Response:
    return Response(orjson.dumps(body), media_type=JSON)


def _answer(found: Found, request: SearchRequest) -> dict[str, Any]:
    answer: dict[str, Any]
    if found.groups is None:
        answer = {"results": _entries(found.hits, found, request), "next": found.next}
    else:
        groups = [
            # A payload's integers may be of any size, and orjson's are not.
            {"value": orjson.Fragment(json.dumps(group.value)), "results": _entries(group.hits, found, request)}
            for group in found.groups
        ]
        answer = {"groups": groups, "next": None}
    return {**answer, "explain": _explanation(found)} if request.explain else answer


def _entries(hits: Sequence[Hit], found: Found, request: SearchRequest) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = [{"id": hit.id, "score": hit.score, "label": hit.label} for hit in hits]
    if request.with_payload:
        for entry, hit in zip(entries, hits, strict=True):
            entry["payload"] = None if hit.payload_json is None else orjson.Fragment(hit.payload_json)
    if request.with_vectors:
        for entry, hit in zip(entries, hits, strict=True):
            vector = found.vectors.get(hit.sequence)
            entry["vector"] = None if vector is None else vector.tolist()
    return entries


def _explanation(found: Found) -> dict[str, Any]:
    use, body = found.use, found.use.account.body
    filtered = use.filter_account
    return {
        "kind": use.account.kind,
        "plan": body.plan if body else "exact",
        "effort": body.effort if body else 0,
        "scored_again": body.scored_again if body else 0,
        "head_rows": use.account.head_rows,
        "filter": {"plan": filtered.plan, "share": filtered.share} if filtered else None,
        "recall_at_10": dict(found.measured.recall_at_10) if found.measured else None,
        "searches": use.searches,
        "milliseconds": round(use.seconds * 1000, 3),
    }
