"""Other names of encoders, on disk."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from simila.domain.errors import DataFolderError, StorageFailed
from simila.storage.durable_folders import make_folder, replace_file

_ALIASES = TypeAdapter(dict[str, str])


class AliasFile:
    """The file `path`: a JSON object from alias to encoder, which need not exist. `stored` is what it held at first.

    Raises:
        DataFolderError: the file is damaged or cannot be read.

    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.stored: Mapping[str, str] = {}
        try:
            self.stored = _ALIASES.validate_json(path.read_bytes())
        except FileNotFoundError:
            return
        except (OSError, ValidationError) as error:
            reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error.strerror
            message = f"the aliases {path} cannot be read ({reason}); remove the file, and set them again"
            raise DataFolderError(message) from error

    def write(self, aliases: Mapping[str, str]) -> None:
        """Replace all aliases; this blocks.

        Raises:
            StorageFailed: the disk refuses; the aliases are as they were.

        """
        try:
            make_folder(self._path.parent)
            replace_file(self._path, _ALIASES.dump_json(dict(aliases), indent=2))
        except OSError as error:
            raise StorageFailed(f"the aliases cannot be written: {error.strerror or error}") from error
