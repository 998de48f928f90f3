"""`POST /v1/rerank`: the shape that Jina and Cohere share, and Infinity's."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from simila.api.schemas.base import NonEmptyList, RequestBody, Text
from simila.api.schemas.embeddings import Usage
from simila.api.schemas.inputs import ImageItem, InputReader, TextItem
from simila.domain.inputs import Input

Document = Text | TextItem | ImageItem


class RerankRequest(RequestBody):
    model: Text
    query: Document
    documents: NonEmptyList[Document]
    top_n: Annotated[int, Field(ge=1)] | None = None
    return_documents: bool = False
    truncate: bool = True
    """Cut texts at the encoder's context length; `false` refuses them instead."""

    def inputs(self, reader: InputReader) -> list[Input]:
        """The query and the documents; errors name `query` or `documents[position]`."""
        reader.check_count(len(self.documents), "documents")
        return [_input(reader, *pair) for pair in zip([self.query, *self.documents], self.names, strict=True)]

    @property
    def names(self) -> list[str]:
        return ["query", *(f"documents[{position}]" for position in range(len(self.documents)))]


def _input(reader: InputReader, document: Document, name: str) -> Input:
    if isinstance(document, str):
        return reader.string(document, name)
    if isinstance(document, ImageItem):
        return reader.image(document.image, f"{name}.image")
    return reader.text(document.text, f"{name}.text")


class RankedDocument(BaseModel):
    """`relevance_score` is the cosine of the query's and the document's vectors: a bi-encoder's, from -1 to 1."""

    index: int
    relevance_score: float
    document: TextItem | ImageItem | None = None


class RerankResponse(BaseModel):
    """The most relevant document first."""

    object: Literal["rerank"] = "rerank"
    model: str
    results: list[RankedDocument]
    usage: Usage
