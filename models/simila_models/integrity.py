"""Whether files are still what they were."""

import hashlib
from pathlib import Path

from simila.domain.errors import HashMismatch
from simila.domain.manifest import Manifest
from simila.domain.model_repository import ModelRepository


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(manifest: Manifest, repository: ModelRepository) -> None:
    """Hash every exported graph of an encoder again.

    Raises:
        NotExported: a tower is not exported, not whole, or from something else.
        HashMismatch: a graph is not the one that was exported.

    """
    for modality in manifest.modalities:
        files = repository.exported_tower(manifest, modality)
        record = files.read_record()
        recorded = {files.onnx: record.onnx_sha256, files.onnx_data: record.data_sha256}
        for path, expected in recorded.items():
            if expected and (found := sha256_of(path)) != expected:
                message = (
                    f"{path}: expected SHA-256 {expected}, found {found}; "
                    f"remove {files.folder} and run: simila models export {manifest.name}"
                )
                raise HashMismatch(message)
