"""Which of several media types a client would rather have (RFC 9110, section 12.5.1)."""

from collections.abc import Sequence

ARROW_STREAM = "application/vnd.apache.arrow.stream"
JSON = "application/json"
MESSAGE_PACK = "application/msgpack"
OCTETS = "application/octet-stream"
PNG = "image/png"


def preferred(accept: str, others: Sequence[str]) -> str:
    """JSON, or the one of the other types that an `Accept` header asks for most; of equals the first."""
    wanted = [media_type for media_type in others if prefers(accept, media_type)]
    return max(wanted, key=lambda media_type: _preference(accept, media_type), default=JSON)


def prefers(accept: str, media_type: str) -> bool:
    """Whether an `Accept` header asks for a type more than for JSON: by quality, then by how exactly it names it."""
    return media_type in accept.lower() and _preference(accept, media_type) > _preference(accept, JSON)


def _preference(accept: str, media_type: str) -> tuple[float, int]:
    """The quality that the most specific matching range gives, and how specific it is; nothing where that is 0."""
    ranges = ("*/*", f"{media_type.partition('/')[0]}/*", media_type)
    unwanted = found = (0.0, -1)
    for entry in accept.lower().split(","):
        name, *parameters = (part.strip() for part in entry.split(";"))
        specificity = ranges.index(name) if name in ranges else -1
        if specificity > found[1]:
            found = (_quality(parameters), specificity)
    return found if found[0] else unwanted


def _quality(parameters: list[str]) -> float:
    """The `q` of a media range; one that is no number from 0 to 1 is not taken as a wish."""
    given = next((parameter[2:] for parameter in parameters if parameter.startswith("q=")), "1")
    try:
        quality = float(given)
    except ValueError:
        return 0.0
    return quality if 0 <= quality <= 1 else 0.0
