"""What each route asks of a key. A route that is not named here asks for the most."""

import re
from dataclasses import dataclass
from functools import lru_cache

from simila.domain.access import Scope

# For probes and browsers, which send no key; they tell nothing of what the server holds.
PUBLIC = re.compile(r"/healthz?|/readyz|/v2/health/(live|ready)|/docs|/openapi\.json|/(docs-assets|explorer)(/.*)?")
COLLECTION = re.compile(r"/v1/collections/(?P<collection>[^/]+)")
_READ_POSTS = re.compile(
    r"/v1/(embeddings|classify|rerank)"
    r"|/v1/collections/[^/]+/(search|search/batch|classify|evaluate|count|map|items/scroll)"
    r"|/|/(embeddings|embed|similarity|tokenize)|/tei/[^/]+(/(embed|similarity|tokenize))?"
    r"|/v2/models/[^/]+(/versions/[^/]+)?/infer|/v2/repository/index"
)
_WRITES = re.compile(
    r"/v1/train|/v1/classifiers/[^/]+(/priors)?"
    r"|/v1/collections/[^/]+(/(forget|migrate|items|items/.+|indexes/.+))?"
)
_ADMIN = re.compile(r"/v1/collections/[^/]+/(backup|export)")
_LOOKING = ("GET", "HEAD", "OPTIONS")
_MOST_KNOWN_PATHS = 4096


@dataclass(frozen=True)
class Need:
    """What a request takes: `scope`, None where no key is needed, and the collection that its path names."""

    scope: Scope | None
    collection: str | None = None


@lru_cache(_MOST_KNOWN_PATHS)
def need_of(method: str, path: str) -> Need:
    """What a request of this method and path takes."""
    path = path.removesuffix("\n")  # routes match with `$`, which lets one line break follow
    if PUBLIC.fullmatch(path):
        return Need(None)
    named = COLLECTION.match(path)
    return Need(_scope(method, path), named["collection"] if named else None)


def _scope(method: str, path: str) -> Scope:
    if _ADMIN.fullmatch(path):
        return Scope.ADMIN
    if method in _LOOKING or (method == "POST" and _READ_POSTS.fullmatch(path)):
        return Scope.READ
    return Scope.WRITE if _WRITES.fullmatch(path) else Scope.ADMIN
