"""The HTTP application: routes, error handlers and guards, without the objects behind them."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from simila import __version__
from simila.api.errors import DOCUMENTED, register_error_handlers
from simila.api.middleware import BodyLimit
from simila.api.routes import classification, collections, embeddings, health, items, models

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_api(lifespan: Lifespan, *, max_body_bytes: int) -> FastAPI:
    """Assemble the application; `lifespan` puts `Services` at `app.state.services` before the first request."""
    app = FastAPIOffline(
        title="Simila",
        version=__version__,
        summary="Image and text vectors, classification and similarity search",
        lifespan=lifespan,
        redoc_url=None,
        static_url="/docs-assets",
    )
    for routes in (embeddings, classification, collections, items, models):
        app.include_router(routes.router, responses=DOCUMENTED)
    app.include_router(health.router)
    app.add_middleware(BodyLimit, max_bytes=max_body_bytes)
    register_error_handlers(app)
    return app
