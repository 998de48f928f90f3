"""Routes that read their JSON in one step and call their endpoint past FastAPI's layers.

FastAPI documents such a route by its endpoint's signature as always. What cannot be read in one step goes FastAPI's own
way, which finds and words the error, so that both ways accept the same and refuse alike.
"""

import inspect
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from simila.api.dependencies import services_with_images
from simila.api.errors import answer_to
from simila.api.json_depth import DEEPEST_JSON, JsonRequest, check_depth
from simila.domain.errors import SimilaError

MEDIA_TYPE = "application/json"

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class DirectRoute(APIRoute):
    """A `POST` route that is called directly when its endpoint has a parameter `body`, a pydantic model.

    Such an endpoint takes path parameters that are strings, `services` and, if it wants it, `request`; nothing else. A
    request with a query goes FastAPI's own way.
    """

    body_type: type[BaseModel] | None = None

    def __init__(self, path: str, endpoint: Any, **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        parameters = inspect.signature(endpoint).parameters
        self._wants_request = "request" in parameters
        if "body" in parameters and "POST" in (self.methods or ()):
            self.body_type = parameters["body"].annotation

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def handle_json(request: Request) -> Response:
            return await handle(JsonRequest(request.scope, request.receive))

        return handle_json

    def read(self, content: bytes) -> BaseModel:
        """Validate the JSON of a body.

        Raises:
            ValidationError: it is none.

        """
        assert self.body_type
        return self.body_type.model_validate_json(content)

    async def answer(self, scope: Scope, path_parameters: dict[str, str], body: BaseModel) -> Response:
        request = Request(scope)
        given = {"request": request} if self._wants_request else {}
        services = await services_with_images(request, body)
        result = await self.endpoint(body=body, services=services, **given, **path_parameters)
        if isinstance(result, Response):
            return result
        return Response(result.__pydantic_serializer__.to_json(result), media_type=MEDIA_TYPE)


class DirectRoutes:
    """Stands before FastAPI, answers what its direct routes can read, and hands it everything else."""

    def __init__(self, api: FastAPI, *, max_json_depth: int = DEEPEST_JSON) -> None:
        self._api = api
        self._max_json_depth = api.state.max_json_depth = max_json_depth
        direct = [route for route in api.routes if isinstance(route, DirectRoute) and route.body_type]
        self._fixed = {route.path: route for route in direct if not route.param_convertors}
        self._patterns = [route for route in direct if route.param_convertors]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._find(scope)
        if found is None:
            await self._api(scope, receive, send)
            return
        route, path_parameters = found
        scope["app"], scope["route"] = self._api, route
        try:
            content = await whole_body(receive)
            if self._max_json_depth < DEEPEST_JSON:
                check_depth(content, self._max_json_depth)
            body = _read(route, content)
            if body is None:
                await self._api(scope, _replayed(content, receive), send)
                return
            response = await route.answer(scope, path_parameters, body)
        except ClientDisconnect:
            raise
        except (SimilaError, HTTPException) as error:
            response = await answer_to(Request(scope), error)
        except Exception as error:
            await (await answer_to(Request(scope), error))(scope, receive, send)
            raise  # for uvicorn to log
        await response(scope, receive, send)

    def _find(self, scope: Scope) -> tuple[DirectRoute, dict[str, str]] | None:
        if scope["type"] != "http" or scope["method"] != "POST" or scope["query_string"] or not _is_json(scope):
            return None
        path = scope["path"]
        if route := self._fixed.get(path):
            return route, {}
        for route in self._patterns:
            if match := route.path_regex.match(path):
                return route, match.groupdict()
        return None


def _is_json(scope: Scope) -> bool:
    for name, value in scope["headers"]:
        if name == b"content-type":
            return bool(value.partition(b";")[0] == MEDIA_TYPE.encode())
    return False


async def whole_body(receive: Receive) -> bytes:
    """The whole body.

    Raises:
        ClientDisconnect: the client left before its end.

    """
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def _read(route: DirectRoute, content: bytes) -> BaseModel | None:
    try:
        return route.read(content)
    except ValidationError:
        return None


def _replayed(content: bytes, receive: Receive) -> Receive:
    """The messages of a request whose body has been read already."""
    body: list[Message] = [{"type": "http.request", "body": content, "more_body": False}]

    async def replay() -> Message:
        return body.pop() if body else await receive()

    return replay
