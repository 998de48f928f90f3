"""What a classification request says, and what it does not."""

import json

import pytest

from simila.api.schemas.classification import ClassifyRequest


@pytest.mark.parametrize(("given", "top_k"), [({}, 256), ({"top_k": None}, None), ({"top_k": 1000}, 1000)])
def test_256_classes_are_answered_unless_the_request_wants_more_or_all(given, top_k):
    body = {"model": "m", "input": "a", "labels": ["x", "y"], **given}
    assert ClassifyRequest.model_validate_json(json.dumps(body)).rules().top_k == top_k
