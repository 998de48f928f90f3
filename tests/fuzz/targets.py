"""Coverage-guided fuzzing by atheris: `python tests/fuzz/targets.py decoders|filters|wire [libFuzzer's options]`.

An input that raises anything but a refusal of ours is a finding; libFuzzer keeps it as `crash-…`.
"""

import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import atheris
from pydantic import ValidationError

with atheris.instrument_imports(include=["simila"]):
    from simila.api.schemas.classification import ClassifyRequest
    from simila.api.schemas.collections import UpsertRequest
    from simila.api.schemas.embeddings import EmbeddingsRequest
    from simila.api.schemas.inputs import InputReader
    from simila.api.schemas.search import SearchRequest
    from simila.domain.errors import InvalidImage, InvalidInput, LimitExceeded, SimilaError
    from simila.domain.manifest import ImageTower
    from simila.index.filters import compile_filter
    from simila.preprocessing.images import image_row

sys.path.insert(0, str(Path(__file__).parent.parent))
from malformed_inputs import whole_images

TOWER = ImageTower(
    size_pixels=16,
    resize_shorter_edge_pixels=16,
    interpolation="bilinear",
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    pooling="average",
)
READER = InputReader(max_inputs=16, max_image_bytes=10_000, max_text_characters=1000)


SOUND_BODIES: tuple[dict[str, object], ...] = (
    {"model": "m", "input": ["a", {"text": "b"}, {"image": "iVBORw0KGgo="}, [1, 2]], "dimensions": 8},
    {"model": "m", "input": "a", "labels": ["a", {"label": "b", "phrases": ["c"]}], "top_k": 1},
    {"positive": [{"text": "a"}], "negative": [{"id": "b"}], "limit": 3, "filter": {"d": {"$gt": 0}}},
    {"items": [{"id": "a", "text": "b", "label": "c", "payload": {"d": [1, None]}}]},
)
SOUND_FILTERS: tuple[dict[str, object], ...] = (
    {"a": 1, "b.c": {"$in": ["x", None]}},
    {"$and": [{"a": {"$gt": 1.5, "$lte": 3}}, {"$or": [{"b": {"$exists": False}}, {"$not": {"c": True}}]}]},
    {"$id": {"$nin": ["a"]}, "$label": "b", "d": {"$not": {"$ne": 2}}},
)


def decoders(data: bytes) -> None:
    """Bytes that are to be an image."""
    try:
        row = image_row(data, TOWER, max_pixels=100_000)
    except (InvalidImage, LimitExceeded):
        return
    assert row.shape == (3, 16, 16)


def filters(data: bytes) -> None:
    """JSON that is to be a filter."""
    try:
        source = json.loads(data)
    except (ValueError, RecursionError):
        return
    try:
        compile_filter(source)
    except InvalidInput:
        return


def wire(data: bytes) -> None:
    """JSON that is to be a request; the first byte says to which route."""
    reads: tuple[Callable[[bytes], object], ...] = (
        lambda body: READER.inputs_or_errors(EmbeddingsRequest.model_validate_json(body).input),
        lambda body: ClassifyRequest.model_validate_json(body).classes(READER),
        lambda body: SearchRequest.model_validate_json(body).search(READER),
        lambda body: [
            item.new_item(READER, position)
            for position, item in enumerate(UpsertRequest.model_validate_json(body).items)
        ],
    )
    if not data:
        return
    with suppress(ValidationError, SimilaError):
        reads[data[0] % len(reads)](data[1:])


TARGETS = {"decoders": decoders, "filters": filters, "wire": wire}
SEEDS: dict[str, Sequence[bytes]] = {
    "decoders": [content for variants in whole_images().values() for content in variants],
    "filters": [json.dumps(source).encode() for source in SOUND_FILTERS],
    "wire": [bytes([route]) + json.dumps(body).encode() for route, body in enumerate(SOUND_BODIES)],
}


def main() -> None:
    name, *options = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(SEEDS[name]):
            (Path(folder) / str(number)).write_bytes(seed)
        atheris.Setup([sys.argv[0], *options, folder], TARGETS[name])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
