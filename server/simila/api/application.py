"""The HTTP application: routes, error handlers and guards, without the objects behind them."""

from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from simila import __version__
from simila.api.access import KeyHolders
from simila.api.answer_headers import AnswerHeaders
from simila.api.audit import AuditedRequests, AuditTrail
from simila.api.compression import CompressedBodies
from simila.api.deadlines import Deadline
from simila.api.direct_route import DirectRoutes
from simila.api.doorkeeper import Doorkeeper
from simila.api.draining import Draining
from simila.api.errors import register_error_handlers
from simila.api.foreign_errors import ForeignErrors, Reshape
from simila.api.json_depth import DEEPEST_JSON
from simila.api.middleware import BodyLimit, KnownHosts, LargestBody
from simila.api.openapi_examples import with_examples
from simila.api.openapi_keys import with_keys
from simila.api.request_metrics import RequestMetrics
from simila.api.retries import HeldRetries
from simila.api.routes import (
    backups,
    classification,
    classifiers,
    collections,
    embeddings,
    examples,
    explorer,
    health,
    infinity,
    items,
    maps,
    metrics,
    migration,
    models,
    open_inference,
    rerank,
    search,
    text_embeddings_inference,
    thumbnails,
)
from simila.api.tracing import Traced, Tracing
from simila.services.drain import Drain
from simila.telemetry.logs import RequestLog

ROUTES = (
    embeddings,
    classification,
    classifiers,
    search,
    examples,
    migration,
    backups,
    collections,
    items,
    thumbnails,
    maps,
    models,
    rerank,
    infinity,
    text_embeddings_inference,
    open_inference,
    health,
    metrics,
    explorer,
)

# What programs in pages send and read beyond what browsers let any page.
CORS_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
CORS_HEADERS = ("Authorization", "api-key", "Content-Type", "X-Request-Id", "X-Request-Timeout", "X-Simila-Fingerprint")
CORS_EXPOSED_HEADERS = ("Retry-After", "X-Request-Id", "Server-Timing")

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_api(
    lifespan: Lifespan,
    *,
    max_body_bytes: int,
    max_decompressed_bytes: int,
    max_backup_bytes: int,
    max_json_depth: int = DEEPEST_JSON,
    request_timeout_seconds: float,
    door: Doorkeeper,
    drain: Drain,
    log: RequestLog,
    tracing: Tracing | None = None,
    trail: AuditTrail | None = None,
    hosts: Collection[str] | None = None,
    cors_origins: Collection[str] = (),
    is_tls: bool = False,
) -> ASGIApp:
    """Assemble the application; `lifespan` puts `Services` at `app.state.services` before the first request.

    It answers to `hosts` alone, or to any where that is None. Pages of `cors_origins` may read its answers.
    """
    api = documented_api(lifespan)
    register_error_handlers(api)
    body = LargestBody(max_body_bytes, "SIMILA_LIMITS__MAX_BODY_BYTES")
    backup = LargestBody(max_backup_bytes, "SIMILA_LIMITS__MAX_BACKUP_BYTES")
    decompressed = LargestBody(max_decompressed_bytes, "SIMILA_LIMITS__MAX_DECOMPRESSED_BYTES")
    app: ASGIApp = CompressedBodies(DirectRoutes(api, max_json_depth=max_json_depth), decompressed)
    app = BodyLimit(app, lambda scope: backup if backups.is_restore(scope) else body)
    if trail is not None:
        app = AuditedRequests(app, trail)
    app = Deadline(HeldRetries(KeyHolders(app, door)), default_seconds=request_timeout_seconds)
    app = KnownHosts(app, hosts)
    app = ForeignErrors(Draining(app, drain), _shape_of_errors)
    if tracing:
        app = Traced(app, tracing)
    app = RequestMetrics(app, log)
    if cors_origins:
        app = CORSMiddleware(
            app,
            allow_origins=tuple(cors_origins),
            allow_methods=CORS_METHODS,
            allow_headers=CORS_HEADERS,
            expose_headers=CORS_EXPOSED_HEADERS,
        )
    return AnswerHeaders(app, is_tls=is_tls)


def documented_api(lifespan: Lifespan | None = None) -> FastAPI:
    """All routes, and the document of them."""
    api = FastAPIOffline(
        # Routes of an included router are matched twice for each request; these come first, and once.
        routes=[route for module in ROUTES for route in module.router.routes],
        title="Simila",
        version=__version__,
        summary="Image and text vectors, classification and similarity search",
        lifespan=lifespan,
        redoc_url=None,
        static_url="/docs-assets",
    )
    document = api.openapi
    api.openapi = lambda: with_keys(with_examples(document()))  # type: ignore[method-assign]  # as FastAPI's own documentation does
    return api


def _shape_of_errors(path: str) -> Reshape | None:
    """How a protocol's own paths word errors; None where they are as everywhere."""
    if path in text_embeddings_inference.PATHS or path.startswith(text_embeddings_inference.PREFIX):
        return text_embeddings_inference.tei_error
    if path == open_inference.PREFIX or path.startswith(f"{open_inference.PREFIX}/"):
        return open_inference.kserve_error
    return None
