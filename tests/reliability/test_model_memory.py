"""What an encoder takes is given back to the system when it is unloaded or replaced."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from simila.domain.model_repository import ModelRepository

MEBI = 2**20
# What remains after all: the allocator's fragments, and what the first load has made for good.
MOST_KEPT_SHARE = 0.15
ROUNDS = 3

# In a process of its own: here other tests' memory would come and go.
SCRIPT = """
import asyncio, re, sys
from pathlib import Path
from simila.domain.inputs import TextInput
from simila.domain.model_repository import ModelRepository
from simila.engine.encoder_starter import EngineOptions
from simila.engine.model_pool import ModelPool
from simila_models.catalogue import bundled_manifests

def own_bytes():
    return int(re.search(r"RssAnon:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024

async def main():
    manifests = bundled_manifests()
    options = EngineOptions(threads=1, preprocess_threads=1, workers=2)
    pool = ModelPool([manifests["efficientnet-lite0"]], ModelRepository(Path(sys.argv[1])), options)
    await pool.load()
    await load_and_unload(pool, manifests["all-minilm-l6-v2"])
    for _ in range(int(sys.argv[2])):
        before = own_bytes()
        loaded = await load_and_unload(pool, manifests["all-minilm-l6-v2"])
        print(before, loaded, own_bytes())
    pool.close()

async def load_and_unload(pool, manifest):
    await pool.load_version(manifest)
    await asyncio.create_task(embed(pool, manifest.name))
    loaded = own_bytes()
    await pool.unload(manifest.name)
    return loaded

async def embed(pool, name):
    await pool.get(name).embed([TextInput("word " * 100) for _ in range(64)])

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_an_unloaded_encoder_leaves_no_memory_behind(exported_repository: ModelRepository) -> None:
    weights = Path(exported_repository.root / "all-minilm-l6-v2.text" / "1" / "model.onnx").stat().st_size
    command = [sys.executable, "-c", SCRIPT, str(exported_repository.root), str(ROUNDS)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rounds = [tuple(map(int, re.findall(r"\d+", line))) for line in output.splitlines()]
    assert len(rounds) == ROUNDS
    for before, loaded, unloaded in rounds:
        assert loaded - before > weights
        assert unloaded - before < MOST_KEPT_SHARE * (loaded - before)
    assert rounds[-1][2] - rounds[0][0] < MOST_KEPT_SHARE * weights, "each round leaves a little behind"
