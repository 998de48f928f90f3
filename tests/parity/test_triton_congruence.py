"""The same inputs through ONNX Runtime in this process and through a real Triton give the same vectors."""

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest
from tritonclient.grpc import InferenceServerClient

from simila.backends.device_choice import CPU_ALONE, Devices, choose_devices
from simila.backends.registry import runtimes
from simila.backends.triton import TritonOptions
from simila.domain.golden import read_golden_set
from simila.domain.inputs import ImageInput, Input, TextInput
from simila.domain.manifest import Modality
from simila.domain.model_repository import ModelRepository
from simila.domain.vectors import Float32
from simila.engine.encoder_starter import EngineOptions
from simila.engine.model_pool import LoadState, ModelPool
from simila_models.catalogue import bundled_manifests
from tolerances import CONGRUENT_COSINE
from triton_server import TritonServer

MINILM, EFFICIENTNET = "all-minilm-l6-v2", "efficientnet-lite0"
TEXTS = [" ".join(["harbour"] * words + [str(words)]) for words in (*range(1, 40), 100, 400)]


@pytest.fixture(scope="module")
def server(installed_triton, exported_repository, tmp_path_factory) -> Iterator[TritonServer]:
    """Triton on the repository as it was exported."""
    models = [f"{MINILM}.text", f"{EFFICIENTNET}.image"]
    folder = tmp_path_factory.mktemp("triton")
    with TritonServer.prepare(installed_triton, exported_repository.root, models, folder) as server:
        yield server.start()


def on_triton(server: TritonServer, **options: bool) -> Devices:
    return choose_devices("triton", runtimes(TritonOptions((server.address,), **options)))


def vectors(repository: ModelRepository, encoder: str, inputs: list[Input], devices: Devices) -> Float32:
    """Load an encoder, which checks its certificate, and embed all inputs side by side."""

    async def embed() -> Float32:
        pool = ModelPool(
            [bundled_manifests()[encoder]], repository, EngineOptions(devices=devices, max_queue_seconds=600)
        )
        try:
            await pool.load()
            assert pool.status(encoder).state is LoadState.READY, pool.status(encoder).error
            embedded = await asyncio.gather(*(pool.get(encoder).embed([entry]) for entry in inputs))
            assert not any(one.failures for one in embedded)
            return np.concatenate([one.vectors for one in embedded])
        finally:
            pool.close()

    return asyncio.run(embed())


def golden_inputs(repository: ModelRepository, encoder: str, modality: Modality) -> list[Input]:
    entries = read_golden_set(repository.tower(encoder, modality).golden, modality).inputs
    return [TextInput(entry) if isinstance(entry, str) else ImageInput(entry) for entry in entries]


@pytest.mark.parametrize("shared_memory", [True, False])
def test_texts_have_the_same_vectors(server, exported_repository, shared_memory):
    inputs = [*map(TextInput, TEXTS), *golden_inputs(exported_repository, MINILM, Modality.TEXT)]
    here = vectors(exported_repository, MINILM, inputs, CPU_ALONE)
    ran = len(server.rows_run)
    there = vectors(exported_repository, MINILM, inputs, on_triton(server, shared_memory=shared_memory))
    assert sum(server.rows_run[ran:]) > len(inputs)
    assert (here * there).sum(axis=1).min() >= CONGRUENT_COSINE


def test_images_have_the_same_vectors(server, exported_repository):
    inputs = golden_inputs(exported_repository, EFFICIENTNET, Modality.IMAGE)
    here = vectors(exported_repository, EFFICIENTNET, inputs, CPU_ALONE)
    there = vectors(exported_repository, EFFICIENTNET, inputs, on_triton(server))
    assert (here * there).sum(axis=1).min() >= CONGRUENT_COSINE


def test_triton_reads_the_exported_description_as_it_was_meant(server):
    with InferenceServerClient(server.address) as client:
        text = client.get_model_config(f"{MINILM}.text").config
        image = client.get_model_config(f"{EFFICIENTNET}.image").config
    assert [(each.name, list(each.dims)) for each in text.input] == [("input_ids", [-1]), ("attention_mask", [-1])]
    assert [(each.name, list(each.dims)) for each in image.input] == [("pixels", [3, 224, 224])]
    for config in (text, image):
        assert (config.backend, config.max_batch_size) == ("onnxruntime", 64)
        assert config.dynamic_batching.default_queue_policy.max_queue_size == 256
        assert [group.count for group in config.instance_group] == [1]
        assert [sample.batch_size for sample in config.model_warmup] == [1, 8]
    assert list(text.model_warmup[1].inputs["input_ids"].dims) == [256]
