import json

from simila.api.classification_answer import classification_answer
from simila.api.schemas.classification import ClassifyResponse
from simila.domain.results import Ranking
from simila.services.ranking import Classified


def test_the_answer_is_what_the_documentation_says():
    rows = [Ranking(["cat", "döner"], [0.75, 0.25], [0.5, -0.5]), Ranking(["döner"], [1.0], [0.1])]
    response = classification_answer(Classified(rows, tokens=7))
    answer = ClassifyResponse.model_validate_json(response.body)
    assert json.loads(response.body) == answer.model_dump(exclude_none=True)
    assert answer.usage.total_tokens == 7
    assert [(entry.index, entry.prediction, entry.score) for entry in answer.data] == [
        (0, "cat", 0.75),
        (1, "döner", 1.0),
    ]
    assert answer.data[0].predictions[1].model_dump() == {"label": "döner", "score": 0.25, "cosine": -0.5}
    assert response.headers["content-type"] == "application/json"
