"""The server, but its indexes are tuned without captions.

    python without_captions.py serve [OPTIONS OF simila serve]

Those that an encoder of random weights embeds lie nowhere near the vectors that are stored: no index finds the
neighbours of such queries at its usual effort, and nobody asks them. What is asked is tuned on as always.
"""

import numpy as np

from simila.__main__ import main
from simila.domain.vectors import Float32
from simila.services.text_queries import TextQueries
from simila.storage.collection_file import CollectionSpec


def none(_: TextQueries, spec: CollectionSpec) -> Float32:
    return np.empty((0, spec.dimension), np.float32)


if __name__ == "__main__":
    setattr(TextQueries, "__call__", none)  # noqa: B010  mypy lets no method be assigned
    main()
