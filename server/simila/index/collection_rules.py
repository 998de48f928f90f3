"""What a collection may be called, and when two are the same."""

import re

from simila.domain.errors import Conflict, FingerprintMismatch, InvalidInput
from simila.storage.collection_file import CollectionSpec

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def is_name(text: str) -> bool:
    """Whether a collection may be called so: it is the name of its folder."""
    return _NAME.fullmatch(text) is not None


def check_name(name: str) -> None:
    """Check a name that a caller gives.

    Raises:
        InvalidInput: no collection may be called so.

    """
    if not is_name(name):
        rule = "1 to 64 characters, each a letter A-Z or a-z, a digit, '-' or '_', the first a letter or a digit"
        raise InvalidInput(f"a collection's name has {rule}", param="name")


def check_same(existing: CollectionSpec, wanted: CollectionSpec) -> None:
    """Check that a collection which is there is the one that a caller would make.

    Raises:
        FingerprintMismatch: it is of another encoder, or another revision of it.
        Conflict: it keeps its vectors or its sources otherwise.

    """
    name = existing.name
    if existing.fingerprint != wanted.fingerprint:
        holds = (
            f"collection {name} holds vectors of encoder {existing.encoder} (fingerprint {existing.fingerprint[:12]})"
        )
        other = (
            f"those of {wanted.encoder} ({wanted.fingerprint[:12]}) need a collection of another name, or migrate it"
        )
        raise FingerprintMismatch(f"{holds}; {other}", param="encoder")
    for option in ("vector_dtype", "store_inputs", "recall_target"):
        is_, asked = getattr(existing, option), getattr(wanted, option)
        if is_ != asked:
            raise Conflict(f"collection {name} was made with {option} {is_}, not {asked}", param=option)
