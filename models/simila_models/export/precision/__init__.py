"""Exported encoders in fewer bits, each judged against fp32 before it may be served."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from simila.domain.manifest import Manifest, Modality
from simila.domain.model_repository import TowerFiles

Row = Mapping[str, NDArray[Any]]
"""One input as the graph takes it, batch axis first: a batch of one."""

Prepare = Callable[[Manifest, Modality, TowerFiles, Sequence[str | bytes]], Sequence[Row]]
"""Turns texts or images into rows exactly as the server does."""
