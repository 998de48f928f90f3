"""`/v1/collections`: what collections and items look like on the wire."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from simila.api.schemas.base import NonEmptyList, RequestBody, Text
from simila.api.schemas.inputs import InputReader
from simila.api.schemas.one_source import OneSource, check_exactly_one
from simila.api.schemas.search import Filter
from simila.domain.results import StoredItem
from simila.domain.vectors import Float32
from simila.index.collection_state import Available, Unavailable
from simila.index.statistics import IndexStatistics
from simila.services.collections import CollectionOptions, ItemsPage
from simila.services.item_checks import NewItem
from simila.storage.item_rows import ItemRow

LARGEST_SEQUENCE = 2**63 - 1


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


class BuildEntry(BaseModel):
    """An index that is being built in the background."""

    kind: str
    rows_done: int
    rows_total: int


class IndexEntry(BaseModel):
    """How a collection is searched; `kind` is "flat" while every vector is compared.

    `head_rows` are compared one by one, `deleted_rows` wait for the next build. `recall_at_10`, by kind of query, and
    `p50_milliseconds` were measured on held-out queries with this `effort` (efSearch or nprobe) and `rerank_factor`
    (candidates scored again for each result). `problem` says why there is no better index.
    """

    kind: str
    head_rows: int
    deleted_rows: int
    effort: int | None = None
    rerank_factor: int | None = None
    recall_at_10: dict[str, float] | None = None
    meets_target: bool | None = None
    p50_milliseconds: float | None = None
    bytes_per_vector: float | None = None
    building: BuildEntry | None = None
    problem: str | None = None

    @classmethod
    def of(cls, index: IndexStatistics) -> Self:
        setting, measured, building = index.setting, index.measured, index.building
        entry = cls(kind=index.kind, head_rows=index.head_rows, deleted_rows=index.deleted_rows, problem=index.problem)
        if setting:
            entry.effort, entry.rerank_factor = setting.effort, setting.rerank_factor
        if measured:
            entry.recall_at_10 = dict(measured.recall_at_10)
            entry.meets_target = measured.meets_target
            entry.p50_milliseconds = measured.p50_milliseconds
            entry.bytes_per_vector = measured.bytes_per_vector
        if building:
            entry.building = BuildEntry(
                kind=building.kind, rows_done=building.rows_done, rows_total=building.rows_total
            )
        return entry


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
    vector_dtype: str | None = None
    store_inputs: bool | None = None
    recall_target: float | None = None
    disk_bytes: int | None = None
    payload_indexes: list[str] | None = None
    index: IndexEntry | None = None

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
            vector_dtype=state.spec.vector_dtype,
            store_inputs=state.spec.store_inputs,
            recall_target=state.spec.recall_target,
            disk_bytes=state.statistics.disk_bytes,
            payload_indexes=list(state.statistics.payload_indexes),
            index=IndexEntry.of(state.statistics.index),
        )


class ItemBody(OneSource):
    """An item: an id and exactly one of `text`, `image` (base64 or data URI) and `vector`."""

    id: Text
    label: Text | None = None
    payload: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        check_exactly_one(self, ("text", "image", "vector"))
        return self

    def new_item(self, reader: InputReader, position: int) -> NewItem:
        return NewItem(self.id, self.source(reader, f"items[{position}]."), self.label, self.payload)


class UpsertRequest(RequestBody):
    items: NonEmptyList[ItemBody]
    fingerprint: str | None = None


class RelabelRequest(RequestBody):
    """The class that an item is of from now on; null: of none."""

    label: Text | None


class RelabelManyRequest(RelabelRequest):
    """The same for many items."""

    ids: NonEmptyList[Text]


class RelabelResponse(BaseModel):
    """How many items there were, the newest of their sequences (null where there was none), and the ids of no item."""

    relabelled: int
    sequence: int | None
    missing: list[str]


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

    @classmethod
    def of_row(cls, row: ItemRow, vector: Float32 | None) -> Self:
        entry = ItemEntry.of(row)
        return cls(**dict(entry), vector=None if vector is None else vector.tolist())


class ItemPage(BaseModel):
    """Items in the order they were written.

    `next` is the `after` of the page that follows, null on the last one.
    """

    object: str = "list"
    data: list[ItemEntry]
    next: int | None

    @classmethod
    def of(cls, page: ItemsPage) -> Self:
        return cls(data=[ItemEntry.of(row) for row in page.rows], next=page.next_sequence)


class ScrollRequest(RequestBody):
    """Which items to read, in the order they were written; `after` is the `next` of the page before."""

    filter: Filter | None = None
    after: Annotated[int, Field(ge=0, le=LARGEST_SEQUENCE)] = 0
    limit: Annotated[int, Field(ge=1)] = 100
    with_vectors: bool = False


class ScrollPage(BaseModel):
    """Items that match; `vector` is null unless it was asked for."""

    object: str = "list"
    data: list[ItemWithVector]
    next: int | None

    @classmethod
    def of(cls, page: ItemsPage) -> Self:
        data = [ItemWithVector.of_row(row, (page.vectors or {}).get(row.sequence)) for row in page.rows]
        return cls(data=data, next=page.next_sequence)


class DeleteItemsRequest(RequestBody):
    """Exactly one of `ids`, `filter`, which must say something, and `all: true`."""

    ids: NonEmptyList[Text] | None = None
    filter: Filter | None = None
    all: Literal[True] | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        check_exactly_one(self, ("ids", "filter", "all"))
        return self


class DeleteItemsResponse(BaseModel):
    """How many items there were; they are off the disk and no search finds them. `missing` are the ids of no item."""

    deleted: int
    missing: list[str] = []


class CountRequest(RequestBody):
    filter: Filter | None = None


class CountResponse(BaseModel):
    """How many items match, or how many there are without a filter."""

    count: int


class PayloadIndexEntry(BaseModel):
    """A payload key that filters find quickly."""

    key: str
