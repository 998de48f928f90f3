import asyncio

import pytest

from simila.index.catalogue import Catalogue
from simila.services.collections import CollectionLimits, CollectionOptions, CollectionService
from simila.services.item_checks import ItemLimits
from unit.services.word_encoders import Tower, image_encoder, joint_encoder, pool_of


@pytest.fixture
def tower():
    return Tower()


@pytest.fixture
def pool(tower, tmp_path):
    """The encoders `words` (texts and images, zero-shot) and `pictures` (images), both on one tower."""
    pool = pool_of(tmp_path / "models", joint_encoder(tower), image_encoder(tower))
    yield pool
    pool.close()


@pytest.fixture
def catalogue(tmp_path):
    catalogue = Catalogue(tmp_path / "collections")
    yield catalogue
    catalogue.close()


@pytest.fixture
def collections(pool, catalogue):
    """The service, with the empty collection `colours` of the encoder `words`."""
    limits = CollectionLimits(ItemLimits(items=200, label_characters=100, payload_bytes=100), page=100)
    service = CollectionService(pool, catalogue, limits)
    asyncio.run(service.create("colours", "words", CollectionOptions()))
    return service
