"""`POST /v1/rerank`."""

from fastapi import Response

from simila.api.accept import JSON
from simila.api.dependencies import FromServices
from simila.api.router import v1_router
from simila.api.schemas.embeddings import Usage
from simila.api.schemas.inputs import ImageItem, TextItem
from simila.api.schemas.rerank import Document, RankedDocument, RerankRequest, RerankResponse

router = v1_router("rerank")


@router.post(
    "/rerank",
    summary="Order documents by their likeness to a query",
    response_model=RerankResponse,
    response_model_exclude_none=True,
)
async def rerank(body: RerankRequest, services: FromServices) -> Response:
    """The documents most like the query first, by the cosines of their vectors: no cross-encoder reads both at once."""
    query, *documents = body.inputs(services.reader)
    compared = await services.reranking.compare(body.model, query, documents, body.names, truncate=body.truncate)
    results = [
        RankedDocument(
            index=index,
            relevance_score=float(compared.cosines[index]),
            document=_item(body.documents[index]) if body.return_documents else None,
        )
        for index in compared.best(body.top_n)
    ]
    usage = Usage(prompt_tokens=compared.tokens, total_tokens=compared.tokens)
    answer = RerankResponse(model=body.model, results=results, usage=usage)
    return Response(answer.model_dump_json(exclude_none=True), media_type=JSON)


def _item(document: Document) -> TextItem | ImageItem:
    return TextItem(text=document) if isinstance(document, str) else document
