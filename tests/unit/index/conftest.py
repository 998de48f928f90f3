"""A folder of collections, and a collection whose body waits to be built."""

import pytest

from grown_collections import DIMENSION, FLAT_ROWS, ROWS, SPEC, Grown
from simila.index.catalogue import Catalogue
from small_collections import lower_flat_values, new_folder


@pytest.fixture
def small_bodies(monkeypatch):
    lower_flat_values(monkeypatch, FLAT_ROWS * DIMENSION)


@pytest.fixture
def grown(small_bodies, tmp_path):  # noqa: ARG001  it counts while rows are written
    """All rows are written, and a body of them waits to be built."""
    grown = Grown(new_folder(tmp_path, SPEC))
    grown.upsert(range(ROWS))
    yield grown
    grown.collection.close()


@pytest.fixture
def root(tmp_path):
    return tmp_path / "collections"


@pytest.fixture
def catalogue(root):
    catalogue = Catalogue(root)
    yield catalogue
    catalogue.close()
