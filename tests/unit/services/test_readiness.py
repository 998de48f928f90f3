import asyncio

import pytest

from simila.domain.manifest import Modality
from simila.engine.encoder import CANARIES
from simila.engine.model_pool import EncoderStatus, LoadState
from simila.services.readiness import ReadinessService


def check(pool, **options):
    readiness = asyncio.run(ReadinessService(pool, **options).check())
    return readiness.is_ready, readiness.encoders


def test_ready_means_that_every_tower_has_just_embedded_something(pool, tower):
    assert check(pool) == (True, {"words": "ready", "pictures": "ready"})
    pixel = CANARIES[Modality.IMAGE].data
    assert sorted(map(str, tower.seen)) == sorted(["ready", str(pixel), str(pixel)])


def test_a_tower_that_fails_is_not_ready_and_says_why(pool, tower):
    tower.bad = {"ready"}
    assert check(pool) == (False, {"words": "cannot embed 'ready'", "pictures": "ready"})
    tower.bad = {CANARIES[Modality.IMAGE].data}
    is_ready, states = check(pool)
    assert not is_ready
    assert states["pictures"].startswith("cannot embed b'")


def test_a_tower_that_hangs_is_not_ready(pool, tower):
    tower.hangs = True
    state = "nothing embedded for 0.01 s"
    assert check(pool, timeout_seconds=0.01) == (False, {"words": state, "pictures": state})


def test_a_tower_too_busy_for_a_canary_is_ready_while_it_works(pool, tower):
    tower.hangs = True
    tower.idle_seconds = 0.005
    assert check(pool, timeout_seconds=0.01) == (True, {"words": "ready", "pictures": "ready"})


def test_an_encoder_that_is_not_loaded_is_not_ready(pool):
    manifest = pool._encoders.pop("words").manifest
    pool._statuses["words"] = EncoderStatus(manifest, LoadState.LOADING)
    assert check(pool) == (False, {"words": "encoder words is loading", "pictures": "ready"})
    pool._statuses["words"] = EncoderStatus(manifest, LoadState.FAILED, error="a reason")
    assert check(pool) == (False, {"words": "a reason", "pictures": "ready"})


@pytest.mark.parametrize("state", [LoadState.UNLOADING, LoadState.UNLOADED, LoadState.LOADING])
def test_an_encoder_that_nobody_expects_need_not_answer(pool, state):
    pool._statuses["words"] = EncoderStatus(pool._encoders.pop("words").manifest, state, is_expected=False)
    assert check(pool) == (True, {"words": str(state), "pictures": "ready"})
