"""Where a key goes, for the OpenAPI document: its page then has a place to type one, and generated clients send it."""

from typing import Any

SCHEMES: dict[str, dict[str, str]] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A key of `simila keys create`."},
    "api-key": {"type": "apiKey", "in": "header", "name": "api-key", "description": "The same key, as a header."},
}


def with_keys(document: dict[str, Any]) -> dict[str, Any]:
    """Put both ways to send a key into an OpenAPI document. The first alternative is none: there may be no keys yet."""
    document["components"]["securitySchemes"] = SCHEMES
    document["security"] = [{}, *({name: []} for name in SCHEMES)]
    return document
