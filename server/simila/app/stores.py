"""What a server keeps in its data folder, opened."""

import asyncio
from dataclasses import dataclass

from simila.api.audit import AuditTrail
from simila.index.catalogue import Catalogue
from simila.services.text_queries import TextQueries
from simila.settings import Settings
from simila.storage.alias_file import AliasFile
from simila.storage.api_keys import ApiKeys
from simila.storage.audit_log import AuditLog
from simila.storage.classifier_files import ClassifierFiles


@dataclass(frozen=True)
class Stores:
    """Collections, classifiers, aliases, keys and the record of changes."""

    catalogue: Catalogue
    classifier_files: ClassifierFiles
    alias_file: AliasFile
    keys: ApiKeys
    trail: AuditTrail | None  # None: the settings want no record

    @classmethod
    def open(cls, settings: Settings, synthetic_queries: TextQueries | None = None) -> "Stores":
        """Open them where the settings say; indexes of collections are tuned on `synthetic_queries` too.

        Raises:
            DataFolderError: a folder or a file cannot be made or read.

        """
        return cls(
            Catalogue(
                settings.collections_dir,
                memory_bytes=settings.index.memory_bytes or None,
                synthetic_queries=synthetic_queries,
            ),
            ClassifierFiles(settings.classifiers_dir),
            AliasFile(settings.aliases_path),
            ApiKeys(settings.keys_path),
            AuditTrail(AuditLog(settings.audit_path)) if settings.audit else None,
        )

    async def close(self) -> None:
        # Not in the loop: a search or a build may wait for the loop.
        await asyncio.to_thread(self.catalogue.close)
        self.keys.close()
        if self.trail:
            await self.trail.close()
