"""What a server prints once its encoders are loaded."""

import json
from collections.abc import Sequence

from rich.console import Console

from simila.domain.manifest import Manifest
from simila.settings import Settings


def announce(served: Sequence[Manifest], settings: Settings) -> None:
    """Print where the server listens, what it serves, and a command to try."""
    # The address fe80::1 in its brackets would be markup.
    Console(soft_wrap=True, highlight=False, markup=False, emoji=False).print(_announcement(served, settings))


def _announcement(served: Sequence[Manifest], settings: Settings) -> str:
    url = settings.url
    if not settings.encoders:
        return f"Simila listens on {url}, with no encoders (SIMILA_ENCODERS)"
    if not served:
        return f"Simila listens on {url}, but no encoder could be loaded; run: simila models export"
    names = ", ".join(manifest.name for manifest in served)
    body = json.dumps({"model": served[0].name, "input": "hello"})
    curl = f"curl -s {url}/v1/embeddings -H 'content-type: application/json' -d '{body}'"
    return f"Simila is ready on {url}, serving {names}. Try: {curl}"
