"""Searches as they come in, and what their answers look like."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, FiniteFloat, model_validator

from simila.api.errors import ErrorDetail
from simila.api.schemas.base import NonEmptyList, RequestBody, Text
from simila.api.schemas.inputs import InputReader
from simila.api.schemas.one_source import OneSource, check_exactly_one
from simila.api.schemas.own_errors import own_errors
from simila.domain.errors import SimilaError
from simila.services import diversity
from simila.services.query_vectors import Example, StoredId, WeightedExample, by_examples
from simila.services.search_terms import Search

_SINGLE = ("text", "image", "vector", "id")

Filter = Annotated[
    dict[str, Any],
    Field(description="Conditions on payloads, `$id` and `$label`, in MongoDB's language."),
]


class ExampleBody(OneSource):
    """Exactly one of `text`, `image` (base64 or data URI), `vector` and the `id` of a stored item."""

    id: Text | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        check_exactly_one(self, _SINGLE)
        return self

    def example(self, reader: InputReader, place: str) -> tuple[Example, str]:
        """The example and what messages call it."""
        return _example(self, self.id, reader, place, name=place)


class WeightedExampleBody(ExampleBody):
    """An example and its weight; a negative one pushes away from it."""

    weight: FiniteFloat = 1.0


class DiversityBody(RequestBody):
    """Maximal marginal relevance (Carbonell and Goldstein 1998) among the nearest `candidates`.

    `lambda` 1 ranks by likeness to the query alone, 0 by unlikeness to the results before. By default there are four
    times as many candidates as results.
    """

    relevance: Annotated[float, Field(alias="lambda", ge=0, le=1)] = 0.5
    candidates: Annotated[int, Field(ge=1)] | None = None


class SearchRequest(OneSource):
    """A query by exactly one of `text`, `image`, `vector`, `id`, `queries` and `positive` (with `negative`).

    `queries` are summed by weight. `positive` and `negative` examples make the query 0.75 x the mean of the positive
    ones - 0.15 x the mean of the negative ones (Rocchio 1971). Stored items of the query are not among the results.

    With `group_by`, a payload key or `$label`, `limit` counts groups, of up to `group_size` items each; items whose
    value there is no string, number or boolean are in none. `after` takes the `next` of an answer to the same query.
    """

    id: Text | None = None
    queries: NonEmptyList[WeightedExampleBody] | None = None
    positive: NonEmptyList[ExampleBody] | None = None
    negative: NonEmptyList[ExampleBody] | None = None
    filter: Filter | None = None
    limit: Annotated[int, Field(ge=1)] = 10
    score_threshold: FiniteFloat | None = None
    exact: bool = False
    after: Text | None = None
    group_by: Text | None = None
    group_size: Annotated[int, Field(ge=1)] | None = None
    diversity: DiversityBody | None = None
    with_payload: bool = True
    with_vectors: bool = False
    explain: bool = False

    @model_validator(mode="after")
    def _is_one_search(self) -> Self:
        check_exactly_one(self, (*_SINGLE, "queries", "positive"))
        if self.negative and not self.positive:
            raise ValueError("negative examples need positive ones; queries take weights below zero too")
        if self.group_size and not self.group_by:
            raise ValueError("group_size is for group_by")
        if sum(each is not None for each in (self.after, self.group_by, self.diversity)) > 1:
            raise ValueError("after, group_by and diversity do not go together")
        if self.diversity and (self.diversity.candidates or self.limit) < self.limit:
            raise ValueError("diversity.candidates are fewer than limit")
        return self

    def search(self, reader: InputReader, place: str = "") -> Search:
        """What the service takes. `place` goes before the names of fields in messages."""
        return Search(
            self._query(reader, place),
            self.limit,
            self.filter,
            self.score_threshold,
            self.exact,
            self.after,
            self.group_by,
            self.group_size or 1,
            diversity.Diversity(self.diversity.relevance, self.diversity.candidates) if self.diversity else None,
            self.with_vectors,
            place,
        )

    def _query(self, reader: InputReader, place: str) -> list[WeightedExample]:
        if self.queries:
            reader.check_count(len(self.queries), f"{place}queries")
            parts = ((part, part.example(reader, f"{place}queries[{n}]")) for n, part in enumerate(self.queries))
            return [WeightedExample(example, name, part.weight) for part, (example, name) in parts]
        if self.positive:
            negative = self.negative or []
            reader.check_count(len(self.positive) + len(negative), f"{place}positive")
            return by_examples(
                [each.example(reader, f"{place}positive[{n}]") for n, each in enumerate(self.positive)],
                [each.example(reader, f"{place}negative[{n}]") for n, each in enumerate(negative)],
            )
        example, name = _example(self, self.id, reader, place, name=f"{place}query")
        return [WeightedExample(example, name)]


class SearchBatchRequest(RequestBody):
    """Searches of one collection. With `on_error: "partial"`, one that fails has its own `error` in the answer."""

    on_error: Literal["fail", "partial"] = "fail"
    searches: Annotated[NonEmptyList[SearchRequest], own_errors(SearchRequest)]

    def searches_or_errors(self, reader: InputReader) -> list[Search | SimilaError]:
        """The searches, with the error of each that cannot be read in its place."""
        return [_search_or_error(search, reader, f"searches[{n}].") for n, search in enumerate(self.searches)]


class HitEntry(BaseModel):
    """A neighbour; `score` is the cosine of its vector and the query's.

    `payload` is left out without `with_payload`; `vector` is there only with `with_vectors`, and null if the item was
    deleted meanwhile.
    """

    id: str
    score: float
    label: str | None
    payload: dict[str, Any] | None = None
    vector: list[float] | None = None


class GroupEntry(BaseModel):
    """The nearest items of one value of the key that is grouped by."""

    value: str | int | float | bool
    results: list[HitEntry]


class FilterExplanation(BaseModel):
    """How the filter was applied; `share` of the items is estimated to match."""

    plan: str
    share: float


class Explanation(BaseModel):
    """How the index was searched, the last time if it was more than once.

    `head_rows` were compared one by one; of the body, `scored_again` candidates were found with `effort` (efSearch or
    nprobe) and compared by their stored vectors. `recall_at_10` is what the collection's index was measured to find,
    by kind of query; null while every vector is compared.
    """

    kind: str
    plan: str
    effort: int
    scored_again: int
    head_rows: int
    filter: FilterExplanation | None
    recall_at_10: dict[str, float] | None
    searches: int
    milliseconds: float


class SearchResponse(BaseModel):
    """The results, the nearest first, or with `group_by` the `groups`.

    `next` is the `after` of the page that follows, null on the last one. Groups and diverse results have no pages.
    """

    results: list[HitEntry] | None = None
    groups: list[GroupEntry] | None = None
    next: str | None = None
    explain: Explanation | None = None


class SearchBatchEntry(SearchResponse):
    """The answer to one search, or its `error`."""

    index: int
    error: ErrorDetail | None = None


def _example(
    source: OneSource, item_id: str | None, reader: InputReader, place: str, *, name: str
) -> tuple[Example, str]:
    within = f"{place}." if place and not place.endswith(".") else place
    return (StoredId(item_id), f"{within}id") if item_id is not None else (source.source(reader, within), name)


def _search_or_error(search: SearchRequest | SimilaError, reader: InputReader, place: str) -> Search | SimilaError:
    try:
        return search if isinstance(search, SimilaError) else search.search(reader, place)
    except SimilaError as error:
        return error
