"""`/v1/collections`: what collections, items and searches look like on the wire."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, FiniteFloat, model_validator

from simila.api.schemas.base import NonEmptyList, RequestBody, Text
from simila.api.schemas.inputs import InputReader, Vector
from simila.domain.inputs import Source, VectorInput
from simila.domain.results import Hit, StoredItem
from simila.index.catalogue import Available, Unavailable
from simila.services.collections import CollectionOptions
from simila.services.item_checks import NewItem
from simila.services.search import StoredId
from simila.storage.item_rows import ItemRow


class CreateCollectionRequest(RequestBody):
    """What a collection holds, for good.

    `vector_dtype` float16 halves what vectors take on disk, and moves cosines in the fourth digit. With `store_inputs`
    the texts and images themselves are kept, so that `migrate` can embed them again. `recall_target` is the share of
    the 10 true neighbours that an approximate search is tuned to find.
    """

    encoder: Text
    vector_dtype: Literal["float32", "float16"] = "float32"
    store_inputs: bool = False
    recall_target: Annotated[float, Field(ge=0.5, le=1)] = 0.95

    def options(self) -> CollectionOptions:
        return CollectionOptions(self.vector_dtype, self.store_inputs, self.recall_target)


class CollectionEntry(BaseModel):
    """A collection. One that cannot be read has the state `unavailable` and says why in `error`."""

    name: str
    state: str = "ready"
    error: str | None = None
    encoder: str | None = None
    fingerprint: str | None = None
    dimension: int | None = None
    created_at: str | None = None
    items: int | None = None
    labels: dict[str, int] | None = None

    @classmethod
    def of(cls, name: str, state: Available | Unavailable) -> Self:
        if isinstance(state, Unavailable):
            return cls(name=name, state="unavailable", error=state.reason)
        return cls(
            name=name,
            encoder=state.spec.encoder,
            fingerprint=state.spec.fingerprint,
            dimension=state.spec.dimension,
            created_at=state.spec.created_at,
            items=state.statistics.items,
            labels=dict(state.statistics.labels),
        )


class _OneSource(RequestBody):
    text: Text | None = None
    image: Text | None = None
    vector: Vector | None = None

    def _source(self, reader: InputReader, name: str) -> Source:
        if self.text is not None:
            return reader.text(self.text, f"{name}text")
        if self.image is not None:
            return reader.image(self.image, f"{name}image")
        return VectorInput(self.vector or [])


def _exactly_one(body: BaseModel, names: tuple[str, ...]) -> None:
    given = [name for name in names if getattr(body, name) is not None]
    if len(given) != 1:
        raise ValueError(f"give exactly one of {', '.join(names)}; got {', '.join(given) or 'none'}")


class ItemBody(_OneSource):
    """An item: an id and exactly one of `text`, `image` (base64 or data URI) and `vector`."""

    id: Text
    label: Text | None = None
    payload: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        _exactly_one(self, ("text", "image", "vector"))
        return self

    def new_item(self, reader: InputReader, position: int) -> NewItem:
        return NewItem(self.id, self._source(reader, f"items[{position}]."), self.label, self.payload)


class UpsertRequest(RequestBody):
    items: NonEmptyList[ItemBody]
    fingerprint: str | None = None


class UpsertResponse(BaseModel):
    """How many items were written, and the collection's newest sequence."""

    upserted: int
    sequence: int


class ItemEntry(BaseModel):
    id: str
    label: str | None
    payload: dict[str, Any] | None
    sequence: int

    @classmethod
    def of(cls, row: ItemRow) -> Self:
        payload = None if row.payload is None else dict(row.payload)
        return cls(id=row.id, label=row.label, payload=payload, sequence=row.sequence)


class ItemWithVector(ItemEntry):
    """`vector` is there only when it was asked for."""

    vector: list[float] | None = None

    @classmethod
    def of_stored(cls, stored: StoredItem, *, vector: bool) -> Self:
        item = stored.item
        return cls(
            id=item.id,
            label=item.label,
            payload=None if item.payload is None else dict(item.payload),
            sequence=stored.sequence,
            vector=item.vector.tolist() if vector else None,
        )


class ItemPage(BaseModel):
    """Items in the order they were written; `next` is the `after` of the next page, null on the last."""

    object: str = "list"
    data: list[ItemEntry]
    next: int | None


class SearchRequest(_OneSource):
    """A query by exactly one of `text`, `image`, `vector` and the `id` of a stored item."""

    id: Text | None = None
    limit: Annotated[int, Field(ge=1)] = 10
    score_threshold: FiniteFloat | None = None

    @model_validator(mode="after")
    def _has_one_query(self) -> Self:
        _exactly_one(self, ("text", "image", "vector", "id"))
        return self

    def query(self, reader: InputReader) -> Source | StoredId:
        return StoredId(self.id) if self.id is not None else self._source(reader, "")


class HitEntry(BaseModel):
    """A neighbour; `score` is the cosine of its vector and the query's."""

    id: str
    score: float
    label: str | None
    payload: dict[str, Any] | None

    @classmethod
    def of(cls, hit: Hit) -> Self:
        return cls(
            id=hit.id, score=hit.score, label=hit.label, payload=None if hit.payload is None else dict(hit.payload)
        )


class SearchResponse(BaseModel):
    results: list[HitEntry]
