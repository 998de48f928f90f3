"""`POST /v1/embeddings`, as JSON, a form or an image file, answered in JSON or in octets."""

from collections.abc import Sequence

from fastapi import Request, Response

from simila.api.accept import OCTETS, preferred
from simila.api.dependencies import FromServices, services_of
from simila.api.direct_route import DirectRoute, Handler
from simila.api.embedding_answer import DOCUMENTED_ANSWER, OTHER_TYPES, embeddings_answer
from simila.api.embeddings_form import FILE_SCHEMA, FORM, FORM_SCHEMA, IMAGE, read_form, read_image_body
from simila.api.request_metrics import BEGAN_AT
from simila.api.router import v1_router
from simila.api.schemas.embeddings import EmbeddingOptions, EmbeddingsRequest, EmbeddingsResponse
from simila.domain.errors import InvalidInput, SimilaError
from simila.domain.inputs import Input


class _JsonOrFiles(DirectRoute):
    """FastAPI tells routes apart by path and method; the media type of the body decides here."""

    def get_route_handler(self) -> Handler:
        handle_json = super().get_route_handler()

        async def handle(request: Request) -> Response:
            media_type = request.headers.get("content-type", "")
            return await (_embed_files(request) if media_type.startswith((FORM, IMAGE)) else handle_json(request))

        return handle


router = v1_router("embeddings", route_class=_JsonOrFiles)


@router.post(
    "/embeddings",
    summary="Embed texts and images",
    response_model=EmbeddingsResponse,
    response_model_exclude_none=True,
    responses={200: DOCUMENTED_ANSWER},
    openapi_extra={"requestBody": {"content": {FORM: {"schema": FORM_SCHEMA}, f"{IMAGE}*": {"schema": FILE_SCHEMA}}}},
)
async def embed(body: EmbeddingsRequest, services: FromServices, request: Request) -> Response:
    """Unit vectors of texts, token ids and images, in the order given. The shape is OpenAI's, with images added.

    With `Accept: application/octet-stream` the answer is rows of little-endian float32 instead; an Arrow stream and
    MessagePack can be asked for too. As multipart/form-data the inputs are files `image` and texts `input`, in the
    order of the form; a body of any image type is one image, with the other fields in the query.
    """
    names = [f"input[{position}]" for position in range(len(body.input))]
    return await _embed(request, body, services.reader.inputs_or_errors(body.input, body.modality), names)


async def _embed_files(request: Request) -> Response:
    read = read_form if request.headers["content-type"].startswith(FORM) else read_image_body
    form = await read(request, services_of(request).reader)
    return await _embed(request, form.options, form.inputs, form.names)


async def _embed(
    request: Request, options: EmbeddingOptions, inputs: Sequence[Input | SimilaError], names: Sequence[str]
) -> Response:
    media_type = preferred(request.headers.get("accept", ""), OTHER_TYPES)
    if media_type == OCTETS and options.on_error == "partial":
        message = "on_error: octets cannot say which inputs failed; ask for application/json to have 'partial'"
        raise InvalidInput(message, param="on_error")
    embedded = await services_of(request).embedding.embed(
        options.model,
        inputs,
        truncate=options.truncate,
        dimensions=options.dimensions,
        role=options.role,
        on_error=options.on_error,
        names=names,
    )
    return embeddings_answer(embedded, names, options, media_type=media_type, began_at=request.scope[BEGAN_AT])
