import pytest

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
