"""Trained classifiers on disk: a folder each, with what is known of it as JSON and what it learned as arrays."""

import io
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import numpy as np
import orjson
from numpy.typing import NDArray

from simila.domain.errors import ClassifierUnavailable, DataFolderError, StorageFailed
from simila.storage.durable_folders import make_folder, sync_folder, write_file

RECORD_FILE = "classifier.json"

Array = NDArray[np.float32] | NDArray[np.float64] | NDArray[np.int64]
Method = Literal["nearest_mean", "ridge", "logistic", "knn", "keywords", "pseudo_labels", "label_propagation"]


@dataclass(frozen=True)
class ClassifierRecord:
    """What is known of a classifier beside its arrays; times are ISO 8601, UTC. `files` holds each array's hash.

    One that learned from a `collection` has the sequences of its items among its arrays; they are of the store
    `store_id`, which another collection of the name does not have. `priors` are how frequent the
    classes are where it is used, `figures` what a refinement was worth.
    """

    id: str
    name: str | None
    method: Method
    encoder: str
    fingerprint: str
    dimension: int
    created_at: str
    updated_at: str
    state: Literal["training", "ready", "failed", "stale"]
    labels: tuple[str, ...] = ()
    num_samples: int = 0
    updated_number: int = 0
    error: str | None = None
    options: Mapping[str, float] = field(default_factory=dict)
    collection: str | None = None
    store_id: str | None = None
    figures: Mapping[str, float] | None = None
    priors: Mapping[str, float] | None = None
    files: Mapping[str, str] = field(default_factory=dict)


class ClassifierFiles:
    """The folders under `root`. Every method blocks; two writes to one classifier must not run at once.

    Arrays are written under new names first, and the record, which names them, is renamed into place: after a crash a
    classifier is as it was or as it was to be. A folder without a record was never whole, or is half removed.

    Raises:
        DataFolderError: `root` cannot be made or read.

    """

    def __init__(self, root: Path) -> None:
        self._root = root
        try:
            make_folder(root)
            folders = sorted(folder for folder in root.iterdir() if folder.is_dir())
        except OSError as error:
            raise DataFolderError(f"the folder of classifiers {root} cannot be used: {error}") from error
        for folder in folders:
            if not (folder / RECORD_FILE).exists():
                shutil.rmtree(folder, ignore_errors=True)
        self.ids = tuple(folder.name for folder in folders if folder.exists())

    def record(self, classifier_id: str) -> ClassifierRecord:
        """Read what is known of a classifier, at the start: files that the record does not name are removed.

        Raises:
            ClassifierUnavailable: the file is damaged.

        """
        try:
            both = orjson.loads((self._root / classifier_id / RECORD_FILE).read_bytes())
            content = both["record"]
            if _hash(orjson.dumps(content)) != both["sha256"]:
                raise ValueError("its checksum is another")
            record = ClassifierRecord(**{**content, "labels": tuple(content["labels"])})
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise ClassifierUnavailable(f"classifier {classifier_id} cannot be read: {error}") from error
        self._remove_others(record)  # what a crash kept from being removed may be what was to be forgotten
        return record

    def arrays(self, record: ClassifierRecord) -> dict[str, Any]:
        """Read what a classifier learned.

        Raises:
            ClassifierUnavailable: a file is missing or damaged.

        """
        try:
            return {name: self._array(record, name) for name in record.files}
        except (OSError, ValueError) as error:
            raise ClassifierUnavailable(f"classifier {record.id} cannot be read: {error}") from error

    def write(self, record: ClassifierRecord, arrays: Mapping[str, Array]) -> ClassifierRecord:
        """Make or replace a classifier; return its record with the hashes of its arrays.

        Raises:
            StorageFailed: the disk refuses; a classifier that was there is as it was.

        """
        folder = self._root / record.id
        contents = {name: _npy(array) for name, array in arrays.items()}
        kept = ClassifierRecord(**{**vars(record), "files": {name: _hash(data) for name, data in contents.items()}})
        try:
            make_folder(folder)
            for name, data in contents.items():
                write_file(folder / _file_name(kept, name), data)
            content = asdict(kept)
            both = orjson.dumps({"record": content, "sha256": _hash(orjson.dumps(content))})
            write_file(folder / f"{RECORD_FILE}.new", both)
            (folder / f"{RECORD_FILE}.new").rename(folder / RECORD_FILE)
            sync_folder(folder)
        except OSError as error:
            raise StorageFailed(f"classifier {record.id} cannot be written: {error.strerror or error}") from error
        self._remove_others(kept)
        return kept

    def delete(self, classifier_id: str) -> None:
        """Remove a classifier.

        Raises:
            StorageFailed: the disk refuses.

        """
        folder = self._root / classifier_id
        try:
            (folder / RECORD_FILE).unlink(missing_ok=True)
            sync_folder(folder)
            shutil.rmtree(folder)
        except OSError as error:
            raise StorageFailed(f"classifier {classifier_id} cannot be deleted: {error.strerror or error}") from error

    def _array(self, record: ClassifierRecord, name: str) -> Any:
        data = (self._root / record.id / _file_name(record, name)).read_bytes()
        if _hash(data) != record.files[name]:
            raise ValueError(f"the checksum of its {name} is another")
        return np.load(io.BytesIO(data), allow_pickle=False)

    def _remove_others(self, record: ClassifierRecord) -> None:
        named = {RECORD_FILE, *(_file_name(record, name) for name in record.files)}
        for path in (self._root / record.id).iterdir():
            if path.name not in named:
                path.unlink(missing_ok=True)


def _file_name(record: ClassifierRecord, array: str) -> str:
    return f"{array}-{record.files[array][:16]}.npy"


def _npy(array: Array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _hash(data: bytes) -> str:
    return sha256(data).hexdigest()
