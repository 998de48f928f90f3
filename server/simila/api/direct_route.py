"""Routes that read their JSON in one step and call their endpoint without FastAPI's dependency solver.

FastAPI documents such a route by its endpoint's signature as always. What cannot be read in one step goes FastAPI's own
way, which finds and words the error, so that both ways accept the same and refuse alike.
"""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError

from simila.api.dependencies import services_of

Handler = Callable[[Request], Any]
Body = TypeVar("Body", bound=BaseModel)


class DirectRoute(APIRoute):
    """A route whose endpoint may have a parameter `body`: that one is called as `direct_handler` says."""

    def get_route_handler(self) -> Handler:
        fastapi_handler = super().get_route_handler()
        if "body" not in inspect.signature(self.endpoint).parameters:
            return fastapi_handler
        return direct_handler(self.endpoint, fastapi_handler)


def direct_handler(endpoint: Callable[..., Awaitable[Any]], fastapi_handler: Handler) -> Handler:
    """Call `endpoint` with `body` (a pydantic model), `services`, path parameters and, if it has one, `request`."""
    parameters = inspect.signature(endpoint).parameters
    body_type: type[BaseModel] = parameters["body"].annotation
    wants_request = "request" in parameters

    async def handle(request: Request) -> Response:
        body = await _read(request, body_type)
        if body is None:
            answer: Response = await fastapi_handler(request)
            return answer
        given = {"request": request} if wants_request else {}
        result = await endpoint(body=body, services=services_of(request), **given, **request.path_params)
        if isinstance(result, Response):
            return result
        return Response(result.__pydantic_serializer__.to_json(result), media_type="application/json")

    return handle


async def _read(request: Request, body_type: type[Body]) -> Body | None:
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        return None
    try:
        return body_type.model_validate_json(await request.body())
    except ValidationError:
        return None
