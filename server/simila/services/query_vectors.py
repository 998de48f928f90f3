"""What a search is by: texts, images, vectors and stored items, together one vector."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simila.domain.errors import InvalidInput, SimilaError
from simila.domain.inputs import ImageInput, Source, TextInput, TokensInput, VectorInput
from simila.domain.vectors import Float32, given_vector
from simila.index.collection import Collection
from simila.services.collections import unknown_item
from simila.services.embedding import name_failures
from simila.services.source_vectors import SourceVectors

# Rocchio's weights of what is relevant and of what is not, as in Manning, Raghavan and Schütze 2008, section 9.1.1.
POSITIVE_WEIGHT, NEGATIVE_WEIGHT = 0.75, 0.15
# A sum that is shorter, beside the sum of the weights, is what rounding left.
_CANCELLED_LENGTH = 1e-5


@dataclass(frozen=True)
class StoredId:
    """More like the item of this id."""

    id: str


Example = Source | StoredId


@dataclass(frozen=True)
class WeightedExample:
    """A part of a query; a negative weight pushes away from it. `name` is what messages call it."""

    example: Example
    name: str = "query"
    weight: float = 1.0


@dataclass(frozen=True)
class QueryVector:
    """A query as an index takes it, and the ids of the stored items that are a part of it."""

    vector: Float32  # [d], unit length
    stored_ids: tuple[str, ...] = ()


def by_examples(
    positive: Sequence[tuple[Example, str]], negative: Sequence[tuple[Example, str]]
) -> list[WeightedExample]:
    """The query 0.75 x the mean of the positive examples - 0.15 x the mean of the negative ones; each with its name.

    Relevance feedback (Rocchio 1971), where no query came before.
    """
    pulls = [WeightedExample(example, name, POSITIVE_WEIGHT / len(positive)) for example, name in positive]
    pushes = [WeightedExample(example, name, -NEGATIVE_WEIGHT / len(negative)) for example, name in negative]
    return [*pulls, *pushes]


def spelt_out(query: Sequence[WeightedExample]) -> bytes:
    """The same for the same query, and for no other."""
    parts = []
    for part in query:
        content = _content(part.example)
        parts += [f"{type(part.example).__name__} {part.weight!r} {len(content)} ".encode(), content]
    return b"".join(parts)


class QueryVectors:
    """Computes the vectors of queries."""

    def __init__(self, source_vectors: SourceVectors) -> None:
        self._source_vectors = source_vectors

    async def of(self, collection: Collection, query: Sequence[WeightedExample], place: str = "") -> QueryVector:
        """The weighted sum of the unit vectors of the query's parts, of unit length again.

        Raises:
            UnknownItem: the query names an item that is not there.
            InvalidInput: the parts cancel each other out; `param` is then `place`.
            InvalidVector, FingerprintMismatch, …: see `SourceVectors.of`.

        """
        match query:
            case [WeightedExample(VectorInput(values), name, weight)] if weight > 0:  # the most frequent, and cheapest
                return QueryVector(_given(values, collection.spec.dimension, name))
        vectors = np.empty((len(query), collection.spec.dimension), np.float32)
        sources: list[Source] = []
        rows, names, stored_ids = [], [], []
        for row, part in enumerate(query):
            if isinstance(part.example, StoredId):
                stored_ids.append(part.example.id)
                vectors[row] = await _stored_vector(collection, part.example.id, part.name)
            else:
                sources.append(part.example)
                rows.append(row)
                names.append(part.name)
        if sources:
            vectors[rows], _ = await self._source_vectors.of(collection.spec, sources, names, "query")
        return QueryVector(_weighted_sum(vectors, [part.weight for part in query], place), tuple(stored_ids))


def _given(values: Sequence[float] | Float32, dimension: int, name: str) -> Float32:
    try:
        return given_vector(values, dimension)
    except SimilaError as error:
        raise name_failures({0: error}, [name]) from error


async def _stored_vector(collection: Collection, item_id: str, name: str) -> Float32:
    stored = await asyncio.to_thread(collection.reader.get, item_id)
    if stored is None:
        raise unknown_item(collection.spec.name, item_id, param=name)
    return stored.item.vector


def _weighted_sum(vectors: Float32, given_weights: Sequence[float], place: str) -> Float32:
    if len(given_weights) == 1 and given_weights[0] > 0:
        alone: Float32 = vectors[0]
        return alone
    weights = np.array(given_weights, np.float64)
    weights /= max(float(np.abs(weights).max()), np.finfo(np.float64).tiny)
    total = weights @ vectors.astype(np.float64)
    length = float(np.linalg.norm(total))
    if length <= _CANCELLED_LENGTH * np.abs(weights).sum():
        message = "the parts of the query cancel each other out: their weighted sum has no direction"
        raise InvalidInput(f"{place}: {message}" if place else message, param=place or None)
    return (total / length).astype(np.float32)


def _content(example: Example) -> bytes:
    match example:
        case StoredId(text) | TextInput(text):
            return text.encode("utf-8", "surrogatepass")
        case ImageInput(data):
            return data
        case TokensInput(values) | VectorInput(values):
            return np.asarray(values, np.float64).tobytes()
