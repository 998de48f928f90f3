"""Batches padded to few shapes give the vectors that they give unpadded."""

import numpy as np
import onnxruntime
import pytest

from simila.backends import TowerGraph
from simila.backends.bound_session import BoundSession
from simila.backends.onnx_runtime import OnnxRuntimeBackend
from simila.backends.shape_buckets import Bucket, ShapeBuckets, padded
from simila.domain.manifest import Modality
from simila_models.catalogue import bundled_manifests
from tolerances import FLOAT32_VALUES

MINILM, LITE0 = "all-minilm-l6-v2", "efficientnet-lite0"


@pytest.fixture(scope="module")
def graph_of(exported_repository):
    def graph(name, modality):
        files = exported_repository.tower(name, modality)
        return TowerGraph(bundled_manifests()[name], modality, files, files.onnx)

    return graph


def bound(graph, most_rows):
    """A bound session as on a GPU, with its buffers on the host."""
    session = onnxruntime.InferenceSession(graph.onnx, providers=["CPUExecutionProvider"])
    buckets = ShapeBuckets.of_tower(graph.manifest, graph.modality, most_rows)
    return BoundSession(session, graph.output_name, graph.manifest.dimension, buckets, "cpu", 0, graphs=True)


def texts(*lengths):
    noise = np.random.default_rng(sum(lengths))
    mask = (np.arange(max(lengths)) < np.array(lengths)[:, None]).astype(np.int64)
    return {"input_ids": noise.integers(1000, 20_000, mask.shape) * mask, "attention_mask": mask}


def images(rows):
    return {"pixels": np.random.default_rng(rows).integers(0, 256, (rows, 3, 224, 224), dtype=np.uint8)}


def test_buckets_are_powers_of_two_up_to_the_limits():
    manifest = bundled_manifests()[MINILM]
    assert ShapeBuckets.of_tower(manifest, Modality.TEXT, 20) == ShapeBuckets(
        rows=(1, 2, 4, 8, 16, 20), tokens=(16, 32, 64, 128, 256)
    )
    assert ShapeBuckets.of_tower(bundled_manifests()[LITE0], Modality.IMAGE, 1) == ShapeBuckets(rows=(1,))


@pytest.mark.parametrize(
    ("lengths", "bucket"),
    [
        ((1,), Bucket(1, 16)),
        ((16, 3), Bucket(2, 16)),
        ((17, 3, 3), Bucket(4, 32)),
        ((256,) * 8, Bucket(8, 256)),
        ((3,) * 9, None),
        ((257,), None),
    ],
)
def test_a_batch_takes_the_smallest_bucket_that_holds_it(lengths, bucket):
    assert ShapeBuckets.of_tower(bundled_manifests()[MINILM], Modality.TEXT, 8).smallest(texts(*lengths)) == bucket


def test_padding_adds_zeros_to_texts_and_copies_of_the_last_row():
    batch = {"input_ids": np.array([[5, 6, 7], [8, 9, 0]]), "attention_mask": np.array([[1, 1, 1], [1, 1, 0]])}
    filled = padded(batch, Bucket(4, 5))
    assert filled["input_ids"].tolist() == [[5, 6, 7, 0, 0], *[[8, 9, 0, 0, 0]] * 3]
    assert filled["attention_mask"].tolist() == [[1, 1, 1, 0, 0], *[[1, 1, 0, 0, 0]] * 3]


def test_texts_of_all_shapes_in_turn_have_their_own_vectors(graph_of):
    graph = graph_of(MINILM, Modality.TEXT)
    session, reference = bound(graph, 4), OnnxRuntimeBackend(graph.onnx, graph.output_name, 1)
    for lengths in [(5,), (40, 7, 3), (9,), (5,) * 4, (3,) * 5, (40, 7, 3), (16,), (17,)]:
        batch = texts(*lengths)
        np.testing.assert_allclose(session.run(batch), reference.run(batch), atol=FLOAT32_VALUES)


def test_images_have_their_own_vectors_also_in_batches_above_the_buckets(graph_of):
    graph = graph_of(LITE0, Modality.IMAGE)
    session, reference = bound(graph, 4), OnnxRuntimeBackend(graph.onnx, graph.output_name, 1)
    for rows in (1, 3, 5, 3):
        np.testing.assert_allclose(session.run(images(rows)), reference.run(images(rows)), atol=FLOAT32_VALUES)


def test_vectors_are_the_callers_and_not_the_next_batchs(graph_of):
    session = bound(graph_of(MINILM, Modality.TEXT), 4)
    first = session.run(texts(5))
    before = first.copy()
    session.run(texts(6))
    np.testing.assert_array_equal(first, before)
