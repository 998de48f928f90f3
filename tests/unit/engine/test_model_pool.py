"""What cannot be trusted is not served, says why, and leaves the others alone."""

import asyncio
import json
import threading

import numpy as np
import pytest

from simila.domain.errors import InferenceServerDown, NotReady, Overloaded, ParityFailed, UnknownEncoder
from simila.domain.manifest import Modality
from simila.domain.model_repository import ModelRepository
from simila.engine import model_pool
from simila.engine.encoder_starter import EngineOptions
from simila.engine.model_pool import LoadState, ModelPool
from simila_models.catalogue import bundled_manifests
from tolerances import PARITY_COSINE

MINILM, LITE0, JOINT = "all-minilm-l6-v2", "efficientnet-lite0", "simila-lite"


def replaced(path, content):
    path.unlink()
    path.write_bytes(content)


def replaced_vectors(golden_folder, vectors):
    (golden_folder / "vectors.npy").unlink()
    np.save(golden_folder / "vectors.npy", vectors)


def refusal(pool, name):
    """The reason why an encoder is not served, from all the places that give it."""
    status = pool.status(name)
    assert status.state is LoadState.FAILED
    assert status.certificates is None
    with pytest.raises(NotReady) as refused:
        pool.get(name)
    assert refused.value.message == status.error
    assert refused.value.param == "model"
    return status.error


def batcher_threads():
    return {thread for thread in threading.enumerate() if thread.name.startswith("batcher-")}


def test_every_bundled_encoder_is_ready_with_its_certificates(pool):
    for status in pool.statuses():
        assert (status.state, status.error) == (LoadState.READY, None)
        assert tuple(status.certificates) == status.manifest.modalities
        for certificate in status.certificates.values():
            assert certificate.floor == status.manifest.parity_floor
            assert certificate.lowest_cosine >= PARITY_COSINE
        assert pool.get(status.manifest.name).manifest is status.manifest


def test_an_unknown_encoder_is_told_which_there_are(pool):
    for find in (pool.get, pool.status):
        with pytest.raises(UnknownEncoder) as refused:
            find("resnet")
        assert refused.value.message == f"unknown encoder 'resnet'; served here: {', '.join(bundled_manifests())}"
        assert refused.value.param == "model"


def test_an_encoder_is_not_ready_while_it_loads(tmp_path):
    pool = ModelPool([bundled_manifests()[MINILM]], ModelRepository(tmp_path), EngineOptions(1, 1, 1, 1, 1))
    assert pool.status(MINILM).state is LoadState.LOADING
    with pytest.raises(NotReady, match=f"encoder {MINILM} is loading"):
        pool.get(MINILM)
    pool.close()


def test_what_is_not_exported_names_the_remedy_and_the_others_serve(load, copied_tower, tmp_path):
    copied_tower(MINILM, Modality.TEXT)
    pool = load(ModelRepository(tmp_path / "models"), LITE0, MINILM)
    assert refusal(pool, LITE0) == (
        f"encoder {LITE0} is not exported to {tmp_path / 'models'}; run: simila models export {LITE0}"
    )
    asyncio.run(pool.get(MINILM).check_alive())


def test_an_export_of_other_weights_names_the_remedy(load, copied_tower, tmp_path):
    files = copied_tower(MINILM, Modality.TEXT)
    record = json.loads(files.record.read_bytes())
    replaced(files.record, json.dumps({**record, "fingerprint": "0" * 64}).encode())
    pool = load(ModelRepository(tmp_path / "models"), MINILM)
    assert refusal(pool, MINILM) == (
        f"encoder {MINILM} was exported from another manifest or other weights; run: simila models export {MINILM}"
    )


def test_golden_vectors_that_differ_refuse_the_encoder(load, copied_tower, tmp_path):
    copied_tower(JOINT, Modality.IMAGE)
    files = copied_tower(JOINT, Modality.TEXT)
    vectors = np.load(files.golden / "vectors.npy")
    cosine = vectors[1] @ vectors[0]
    vectors[0] = vectors[1]
    replaced_vectors(files.golden, vectors)
    threads = batcher_threads()
    pool = load(ModelRepository(tmp_path / "models"), JOINT)
    name = json.loads((files.golden / "inputs.json").read_bytes())[0]
    assert refusal(pool, JOINT) == (
        f"the text tower of {JOINT} differs from the reference: cosine {cosine:.6f} on '{name[:40]}', floor 0.9999;"
        f" run: simila models export --force {JOINT}"
    )
    assert batcher_threads() == threads, "a refused encoder goes on running"


@pytest.mark.parametrize("keep", [0, 10, 100_000])
def test_a_graph_that_is_cut_short_is_to_be_exported_again(load, copied_tower, tmp_path, keep):
    files = copied_tower(MINILM, Modality.TEXT)
    replaced(files.onnx, files.onnx.read_bytes()[:keep])
    error = refusal(load(ModelRepository(tmp_path / "models"), MINILM), MINILM)
    assert (
        error == f"encoder {MINILM}: 1/model.onnx is gone or not what was exported; run: simila models export {MINILM}"
    )


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ("1/model.onnx", "ONNX Runtime cannot load {path}: "),
        ("tokenizer.json", "the tokenizer {path} cannot be read: "),
        ("export.json", "encoder all-minilm-l6-v2: {path} cannot be read ("),
        ("golden/inputs.json", "JSONDecodeError: "),
        ("golden/vectors.npy", "ValueError: "),
    ],
)
def test_a_file_with_other_bytes_refuses_the_encoder(load, copied_tower, tmp_path, part, reason):
    path = copied_tower(MINILM, Modality.TEXT).folder / part
    replaced(path, b"?" * path.stat().st_size)
    error = refusal(load(ModelRepository(tmp_path / "models"), MINILM), MINILM)
    assert error.startswith(reason.format(path=path))


def test_an_encoder_with_one_good_tower_is_refused_and_leaves_nothing_running(load, copied_tower, tmp_path):
    copied_tower(JOINT, Modality.TEXT)
    threads = batcher_threads()
    pool = load(ModelRepository(tmp_path / "models"), JOINT)
    assert refusal(pool, JOINT).startswith(f"encoder {JOINT} is not exported")
    assert batcher_threads() == threads


def test_a_low_limit_of_pixels_keeps_no_encoder_from_serving(load, exported_repository):
    pool = load(exported_repository, LITE0, max_image_pixels=1_000_000)
    certificate = pool.status(LITE0).certificates[Modality.IMAGE]
    assert "large.jpg" not in certificate.cosines, "3000 x 2000 pixels are over the limit"
    assert {"landscape.jpg", "one-pixel.png", "cmyk.jpg"} <= set(certificate.cosines)
    assert certificate.holds


def test_closing_ends_every_thread(load, exported_repository):
    threads = set(threading.enumerate())
    pool = load(exported_repository, MINILM)
    pool.close()
    assert set(threading.enumerate()) <= threads


@pytest.mark.parametrize(("wait", "tries"), [(True, 3), (False, 1)])
def test_what_a_server_is_the_reason_of_is_tried_again_where_that_is_asked_for(monkeypatch, tmp_path, wait, tries):
    class Starter:
        errors = (Overloaded("full"), InferenceServerDown("down"), ParityFailed("other vectors"))
        tries = 0

        async def start(self, _):
            self.tries += 1
            raise self.errors[self.tries - 1]

    async def load():
        pool = ModelPool([bundled_manifests()[MINILM]], ModelRepository(tmp_path), EngineOptions())
        pool._starter = Starter()
        await pool.load(wait_for_servers=wait)
        pool.close()
        return pool

    monkeypatch.setattr(model_pool, "SERVER_RETRY_SECONDS", 0)
    pool = asyncio.run(load())
    assert pool._starter.tries == tries
    assert refusal(pool, MINILM) == ("other vectors" if wait else "full")
