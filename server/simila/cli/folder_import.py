"""A folder of images into a collection, going on where an earlier import was cut."""

import hashlib
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from simila.cli.inputs import request_batches
from simila_client import BadRequest, CannotServe, Item, NotReady, Overloaded, Simila, TooLarge

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"})
ATTEMPTS = 6
FIRST_WAIT_SECONDS = 0.5

# What is wrong with one item's modality is wrong with all: the collection's encoder reads no images.
CONCERNS_EVERY_ITEM = "unsupported_modality"

# How the wire names an item that is alone in its request; people know it by its file.
_WIRE_NAME = re.compile(r"^items\[0\](\.\w+)*: ")

T = TypeVar("T")


@dataclass(frozen=True)
class ImageFile:
    """An image to import; its path relative to the folder, in POSIX form, is its id."""

    path: Path
    id: str
    label: str | None


@dataclass(frozen=True)
class Refused:
    """An image that was not stored, and why."""

    id: str
    reason: str


@dataclass
class ImportReport:
    """What became of each image."""

    stored: int = 0
    unchanged: int = 0
    refused: list[Refused] = field(default_factory=list)


def find_images(folder: Path, *, labels_from_folders: bool) -> list[ImageFile]:
    """All images below `folder`, sorted by id; what is hidden is left out.

    With `labels_from_folders` the first folder below `folder` is the label; an image in `folder` itself has none.
    """
    found = []
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        if path.suffix.lower() in IMAGE_SUFFIXES and not any(part.startswith(".") for part in parts) and path.is_file():
            label = parts[0] if labels_from_folders and len(parts) > 1 else None
            found.append(ImageFile(path, "/".join(parts), label))
    return sorted(found, key=lambda image: image.id)


class FolderImport:
    """One run of an import. `on_image` is called once for each image when its fate is known."""

    def __init__(
        self,
        client: Simila,
        collection: str,
        *,
        batch_items: int,
        on_image: Callable[[], None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._collection = collection
        self._batch_items = batch_items
        self._on_image = on_image
        self._sleep = sleep
        self._report = ImportReport()

    def run(self, images: Sequence[ImageFile]) -> ImportReport:
        """Store every image that is not stored yet with the same bytes and label.

        Raises:
            SimilaClientError: the server is gone, stays overloaded, or refuses all items, not one; what was stored
                until then stays.

        """
        stored = self._patiently(lambda: list(self._client.all_items(self._collection)))
        known = {item.id: ((item.payload or {}).get("sha256"), item.label) for item in stored}
        changed = self._changed(images, known)
        for batch in request_batches(changed, size_bytes=_image_bytes, max_items=self._batch_items):
            self._store(batch)
        return self._report

    def _changed(
        self, images: Iterable[ImageFile], known: Mapping[str, tuple[str | None, str | None]]
    ) -> Iterator[Item]:
        for image in images:
            try:
                content = _read(image)
            except OSError as error:
                self._refuse(image.id, error.strerror or str(error))
                continue
            sha256 = hashlib.sha256(content).hexdigest()
            if known.get(image.id) == (sha256, image.label):
                self._report.unchanged += 1
                self._on_image()
            else:
                yield Item(image.id, content, image.label, {"file": image.id, "sha256": sha256})

    def _store(self, batch: Sequence[Item]) -> None:
        try:
            self._patiently(lambda: self._client.upsert(self._collection, batch))
        except (BadRequest, TooLarge, CannotServe) as error:
            if len(batch) > 1:
                for item in batch:
                    self._store([item])
                return
            if error.code == CONCERNS_EVERY_ITEM:
                raise
            self._refuse(batch[0].id, _WIRE_NAME.sub("", error.message))
            return
        self._report.stored += len(batch)
        for _ in batch:
            self._on_image()

    def _refuse(self, item_id: str, reason: str) -> None:
        self._report.refused.append(Refused(item_id, reason))
        self._on_image()

    def _patiently(self, call: Callable[[], T]) -> T:
        for attempt in range(ATTEMPTS - 1):
            try:
                return call()
            except (Overloaded, NotReady) as error:
                asked = error.retry_after_seconds
                self._sleep(FIRST_WAIT_SECONDS * 2**attempt if asked is None else asked)
        return call()


def _read(image: ImageFile) -> bytes:
    # A file name may hold any bytes, an id may not: it travels as JSON.
    try:
        image.id.encode()
    except UnicodeEncodeError as error:
        raise OSError(f"the file name is not UTF-8: {error.reason}") from error
    return image.path.read_bytes()


def _image_bytes(item: Item) -> int:
    assert isinstance(item.content, bytes)  # as they were read above
    return len(item.content)
