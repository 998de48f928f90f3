"""Which encoders there are: the bundled manifests and the user's own."""

from collections.abc import Sequence
from pathlib import Path

from simila.domain.errors import InvalidManifest, UnknownEncoder
from simila.domain.manifest import Manifest, read_manifest

BUNDLED_FOLDER = Path(__file__).parent / "manifests"


def bundled_manifests() -> dict[str, Manifest]:
    """Read the manifests that ship with Simila, by encoder name."""
    return known_manifests(())


def known_manifests(folders: Sequence[Path]) -> dict[str, Manifest]:
    """Read the bundled manifests and those in `folders`, by encoder name; of one name the last wins.

    Raises:
        InvalidManifest: a file breaks the schema, or is not called after its encoder.

    """
    return {name: _read(path) for name, path in sorted(_paths(folders).items())}


def find_manifest(name: str, folders: Sequence[Path]) -> Manifest:
    """Read the manifest of one encoder; the other files are not read, so a bad one among them does no harm.

    Raises:
        UnknownEncoder: neither the bundle nor `folders` has it.
        InvalidManifest: the file breaks the schema, or is not called after its encoder.

    """
    paths = _paths(folders)
    if name not in paths:
        places = "".join(f", nor in {folder}" for folder in folders)
        known = ", ".join(sorted(paths))
        raise UnknownEncoder(f"no encoder is called '{name}': it is not bundled{places}. Known: {known}")
    return _read(paths[name])


def _paths(folders: Sequence[Path]) -> dict[str, Path]:
    return {path.stem: path for folder in (BUNDLED_FOLDER, *folders) for path in folder.glob("*.toml")}


def _read(path: Path) -> Manifest:
    manifest = read_manifest(path)
    if manifest.name != path.stem:
        message = f"{path} describes the encoder '{manifest.name}'; call the file {manifest.name}.toml"
        raise InvalidManifest(message)
    return manifest
