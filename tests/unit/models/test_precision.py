"""Towers in fewer bits: a graph of two products is small enough to know what each step must do."""

import asyncio
import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from sklearn.neighbors import NearestCentroid, NearestNeighbors

from simila.domain.errors import InvalidInput, ModelError, ParityFailed
from simila.domain.inputs import TextInput
from simila.domain.manifest import Manifest, Modality
from simila.domain.model_repository import ModelRepository
from simila.domain.precision import Precision
from simila.engine.encoder_starter import EngineOptions
from simila.engine.model_pool import LoadState, ModelPool
from simila.engine.prepared_rows import prepared_rows
from simila_models.export import export_precisions
from simila_models.export.precision.inputs import given_inputs, shipped_inputs
from simila_models.export.precision.node_search import nodes_in_float
from simila_models.export.precision.quantisation import quantisable_nodes, quantise
from simila_models.export.precision.runs import open_session, vectors_in_batches, vectors_of
from simila_models.export.precision.smoothing import smoothed
from simila_models.export.precision.task_check import check_task
from simila_models.progress import Silent
from tiny_encoders import WORDS, TinyEncoder
from tiny_products import EVEN, UNEVEN, with_products
from tolerances import FLOAT32_VALUES


@pytest.fixture
def repository(tmp_path: Path) -> ModelRepository:
    return ModelRepository(tmp_path / "models")


@pytest.fixture
def encoder(tmp_path: Path) -> Manifest:
    return TinyEncoder("tiny", seed=3).export(tmp_path)


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "texts.tsv"
    random = np.random.default_rng(0)
    lines = [
        (words[0], " ".join(words)) for words in (random.choice(WORDS[:6], 1 + number % 8) for number in range(40))
    ]
    path.write_text("\n".join(f"{label}\t{text}" for label, text in lines), encoding="utf-8")
    return path


def as_it_is(model: onnx.ModelProto, _rows) -> onnx.ModelProto:
    return model


def rows_of(repository: ModelRepository, manifest: Manifest, texts: list[str]):
    return prepared_rows(manifest, Modality.TEXT, repository.tower(manifest.name, Modality.TEXT), texts)


def load(manifest: Manifest, repository: ModelRepository):
    pool = ModelPool([manifest], repository, EngineOptions(threads=1))

    async def vectors():
        await pool.load()
        (status,) = pool.statuses()
        if status.state is not LoadState.READY:
            return status, None
        return status, (await pool.get("tiny").embed([TextInput("red house")])).vectors[0]

    try:
        return asyncio.run(vectors())
    finally:
        pool.close()


@pytest.mark.parametrize("precision", [Precision.FP16, Precision.INT8_DYNAMIC, Precision.INT8_STATIC])
def test_a_precision_lies_beside_the_reference_and_is_served(precision, repository, encoder, texts):
    with_products(EVEN, repository, encoder)
    served = encoder.served_in({"tiny": precision})
    (report,) = export_precisions(served, repository, prepared_rows, Silent(), calibration=texts)
    assert re.match(rf"tiny, text tower in {precision}: lowest cosine (0\.99|1\.00)", report)
    files = repository.exported_tower(served, Modality.TEXT)
    assert files.folder.name == f"tiny.text.{precision}"
    assert f'name: "tiny.text.{precision}"' in files.config.read_text()
    kinds = Counter(node.op_type for node in onnx.load(files.onnx).graph.node)
    assert kinds["MatMulInteger"] == (2 if precision is Precision.INT8_DYNAMIC else 0)
    assert kinds["QuantizeLinear"] == (2 if precision is Precision.INT8_STATIC else 0)
    assert files.read_record().parity_floor == precision.parity_floor

    status, vector = load(served, repository)
    assert status.certificates[Modality.TEXT].floor == precision.parity_floor
    cosine = float(vector @ TinyEncoder("tiny", seed=3).vector("red house"))
    assert precision.parity_floor <= cosine < 1 - 1e-9
    assert export_precisions(served, repository, prepared_rows, Silent()) == []


def test_below_its_floor_it_is_refused_with_the_figures_unless_forced(repository, encoder, texts, monkeypatch):
    with_products(UNEVEN, repository, encoder)
    monkeypatch.setattr("simila_models.export.precision.tower.smoothed", as_it_is)
    monkeypatch.setattr("simila_models.export.precision.tower.LARGEST_SHARE_IN_FLOAT", 0)
    served = encoder.served_in({"tiny": Precision.INT8_DYNAMIC})
    figures = (
        r"lowest cosine 0\.\d+ of golden inputs, 0\.\d+ of others \(floor 0\.99\); nearest mean agrees on \d+\.\d%"
    )
    with pytest.raises(ParityFailed, match=figures):
        export_precisions(served, repository, prepared_rows, Silent(), calibration=texts)
    assert not repository.is_current(served)
    export_precisions(served, repository, prepared_rows, Silent(), calibration=texts, force=True)
    status, _ = load(served, repository)
    assert status.state is LoadState.READY
    assert status.certificates[Modality.TEXT].floor < 0.99


def test_what_holds_for_golden_inputs_alone_is_refused(repository, encoder, texts, monkeypatch):
    reference = with_products(EVEN, repository, encoder)
    served = encoder.served_in({"tiny": Precision.INT8_DYNAMIC})

    def others_lie(path, output_name, rows, run=vectors_of):
        vectors = run(path, output_name, rows)
        return np.roll(vectors, 1, axis=1) if path != reference and len(rows) == 20 else vectors

    monkeypatch.setattr("simila_models.export.precision.tower.vectors_of", others_lie)
    with pytest.raises(ParityFailed, match=r"lowest cosine 0\.99\d+ of golden inputs, -?0\.\d+ of others"):
        export_precisions(served, repository, prepared_rows, Silent(), calibration=texts)


def test_a_node_that_does_harm_stays_in_float(repository, encoder, texts, monkeypatch):
    with_products(UNEVEN, repository, encoder)
    monkeypatch.setattr("simila_models.export.precision.tower.smoothed", as_it_is)
    served = encoder.served_in({"tiny": Precision.INT8_DYNAMIC})
    (report,) = export_precisions(served, repository, prepared_rows, Silent(), calibration=texts)
    assert report.endswith("with 1 of 2 nodes in float")
    kept = json.loads(repository.exported_tower(served, Modality.TEXT).quality.read_text())
    assert kept["nodes_in_float"] == ["product_back"]


def test_smoothing_keeps_the_function_and_takes_the_error_away(tmp_path, repository, encoder):
    path = with_products(UNEVEN, repository, encoder)
    rows = rows_of(repository, encoder, [f"{first} {second}" for first in WORDS for second in WORDS])
    reference = vectors_of(path, "embedding", rows)
    onnx.save(smoothed(onnx.load(path), rows), tmp_path / "smooth.onnx")
    np.testing.assert_allclose(vectors_of(tmp_path / "smooth.onnx", "embedding", rows), reference, atol=FLOAT32_VALUES)

    def worst(source: Path) -> float:
        nodes = quantisable_nodes(onnx.load(source), Precision.INT8_DYNAMIC)
        quantise(source, tmp_path / "int8.onnx", Precision.INT8_DYNAMIC, nodes, rows)
        return float((vectors_of(tmp_path / "int8.onnx", "embedding", rows) * reference).sum(1).min())

    assert worst(path) < 0.9
    assert worst(tmp_path / "smooth.onnx") > 0.99


def test_batches_give_each_row_its_own_vector(repository, encoder):
    path = repository.tower("tiny", Modality.TEXT).onnx
    rows = rows_of(repository, encoder, [" ".join(WORDS[: 1 + number % 6]) for number in range(20)])
    np.testing.assert_allclose(
        vectors_in_batches(path, "embedding", rows), vectors_of(path, "embedding", rows), atol=FLOAT32_VALUES
    )


def test_as_many_rows_are_judged_together_as_a_busy_server_batches(tmp_path, repository, encoder):
    source, int8 = with_products(UNEVEN, repository, encoder), tmp_path / "int8.onnx"
    rows = rows_of(repository, encoder, ["red house"] * 31 + ["blue blue"])  # the last has the largest values
    nodes = quantisable_nodes(onnx.load(source), Precision.INT8_DYNAMIC)
    quantise(source, int8, Precision.INT8_DYNAMIC, nodes, rows)
    together = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
    (expected,) = open_session(int8).run(["embedding"], together)
    np.testing.assert_array_equal(vectors_in_batches(int8, "embedding", rows), expected)
    assert np.abs(vectors_of(int8, "embedding", rows) - expected)[0].max() > FLOAT32_VALUES


def test_a_graph_without_products_has_nothing_to_quantise(repository, encoder, texts):
    served = encoder.served_in({"tiny": Precision.INT8_DYNAMIC})
    with pytest.raises(ModelError, match="nothing in the graph can be quantised to int8-dynamic"):
        export_precisions(served, repository, prepared_rows, Silent(), calibration=texts)


def test_weights_that_lie_beside_their_graph_stay_as_they_are(repository, encoder, texts):
    repository.tower("tiny", Modality.TEXT).onnx_data.touch()
    served = encoder.served_in({"tiny": Precision.FP16})
    with pytest.raises(ModelError, match=r"tiny, text tower: .* more than two gigabytes, is served in fp32 alone"):
        export_precisions(served, repository, prepared_rows, Silent(), calibration=texts)


ERRORS = {"a": 0.001, "b": 0.02, "c": 0.004, "d": 0.0005, "e": 0.03}


@pytest.mark.parametrize(
    ("wanted", "most", "in_float"),
    [(0.9, 5, ()), (0.97, 5, ("e",)), (0.99, 5, ("e", "b")), (0.999, 5, ("e", "b", "c", "a")), (0.999, 3, ())],
)
def test_the_fewest_nodes_that_suffice_stay_in_float(wanted, most, in_float):
    def lowest_cosine(nodes):
        return 1 - sum(ERRORS[node] for node in nodes)

    found = nodes_in_float(list(ERRORS), lowest_cosine, lambda node: lowest_cosine([node]), wanted, most=most)
    assert found.in_float == in_float
    assert found.lowest_cosine == pytest.approx(lowest_cosine(set(ERRORS) - set(in_float)))


def test_the_task_check_agrees_with_scikit_learn():
    random = np.random.default_rng(5)
    classes = np.repeat(np.arange(5), 12)
    reference = random.normal(size=(60, 16)) + 0.8 * random.normal(size=(5, 16))[classes]
    other = reference + 0.3 * random.normal(size=reference.shape)
    reference, other = (
        (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32) for rows in (reference, other)
    )

    def predicted(rows):
        without = [np.arange(60) != position for position in range(60)]
        models = [NearestCentroid().fit(rows[others], classes[others]) for others in without]
        return np.array([model.predict(row[None])[0] for model, row in zip(models, rows, strict=True)])

    def ten_nearest(rows):
        return NearestNeighbors(n_neighbors=10).fit(rows).kneighbors(return_distance=False)

    pairs = zip(ten_nearest(reference), ten_nearest(other), strict=True)
    shared = np.mean([len(set(one) & set(two)) / 10 for one, two in pairs])
    check = check_task(reference, other, [f"class {number}" for number in classes])
    assert check.nearest_mean == np.mean(predicted(reference) == predicted(other))
    assert check.retrieval == pytest.approx(shared)
    assert 0.5 < check.retrieval < 0.95
    assert not check.holds
    assert check_task(reference, reference, [str(number) for number in classes]).holds


def test_inputs_that_ship_are_labelled_and_of_both_kinds():
    texts, images = shipped_inputs(Modality.TEXT), shipped_inputs(Modality.IMAGE)
    assert set(Counter(one.label for one in texts).values()) == {10}
    assert len({one.content for one in texts}) == 120
    assert Counter(one.label for one in images) == {"china": 40, "flower": 40}
    assert all(isinstance(one.content, bytes) and one.content.startswith(b"\x89PNG") for one in images)


def test_ones_own_inputs_are_a_file_of_texts_or_a_folder_of_images(tmp_path):
    (tmp_path / "texts.tsv").write_text("\n".join(["pets\ta cat", "", "no label", *["pets\ta dog"] * 20]))
    labels = [(one.label, one.content) for one in given_inputs(tmp_path / "texts.tsv")]
    assert labels[:3] == [("pets", "a cat"), ("", "no label"), ("pets", "a dog")]
    for number in range(20):
        (tmp_path / "photos" / f"class-{number % 2}").mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / f"class-{number % 2}" / f"{number}.JPG").write_bytes(bytes([number]))
    images = given_inputs(tmp_path / "photos")
    assert Counter(one.label for one in images) == {"class-0": 10, "class-1": 10}
    with pytest.raises(InvalidInput, match=r"class-0 has 10 inputs to calibrate on; at least 20 are needed"):
        given_inputs(tmp_path / "photos" / "class-0")
