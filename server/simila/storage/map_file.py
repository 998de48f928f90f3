"""A collection's map on disk, beside its items: what places items, and where they were placed.

It names no item but by sequence, and is derived: what cannot be read is made again.
"""

import io
import logging
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from simila.domain.errors import StorageFailed
from simila.domain.vectors import Float32, Int64
from simila.storage.durable_folders import replace_file, sync_folder

logger = logging.getLogger("simila.storage")

MAP_FILE = "map"  # a SHA-256, then numpy's archive of arrays
_DIGEST_BYTES = 32


@dataclass(frozen=True, eq=False)
class StoredMap:
    """Items on a plane, and what new ones are placed by.

    `neighbours` are the sequences of the nearest others, -1 of an item that was not compared, or is alone; `cosines`
    are theirs.
    """

    mean: Float32  # [d], the origin
    axes: Float32  # [d, 2]
    centres: Float32  # [c, d], of the clusters
    sequences: Int64  # [n], ascending
    places: Float32  # [n, 2]
    clusters: Int64  # [n]
    neighbours: Int64  # [n]
    cosines: Float32  # [n]


def save_map(folder: Path, stored: StoredMap, store_id: str) -> None:
    """Write the map of the collection in a folder in place of the one that is there.

    Raises:
        StorageFailed: the disk refuses.

    """
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, store_id=np.array(store_id), **vars(stored))
    try:
        replace_file(folder / MAP_FILE, sha256(content.getvalue()).digest() + content.getvalue())
    except OSError as error:
        raise StorageFailed(f"the map cannot be saved: {error.strerror or error}") from error


def load_map(folder: Path, store_id: str) -> StoredMap | None:
    """The map of the collection in a folder; None if there is none of this store that can be read."""
    try:
        content = (folder / MAP_FILE).read_bytes()
        digest, content = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if sha256(content).digest() != digest:
            raise ValueError("its checksum is another")
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            columns = {name: arrays[name] for name in StoredMap.__dataclass_fields__}
            return StoredMap(**columns) if str(arrays["store_id"]) == store_id else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError) as error:
        logger.warning("the map in %s is made again when it is asked for: %r", folder.name, error)
        return None


def remove_map(folder: Path) -> None:
    """Delete the map, and what a save that was cut short left of one.

    Raises:
        StorageFailed: the disk refuses.

    """
    try:
        for path in folder.glob(f"{MAP_FILE}*"):
            path.unlink(missing_ok=True)
        sync_folder(folder)
    except OSError as error:
        raise StorageFailed(f"the map of {folder.name} cannot be removed: {error.strerror or error}") from error
