"""config.pbtxt, read by Triton's own protobuf."""

import onnx
import pytest
from google.protobuf import text_format
from onnx import TensorProto, helper
from tritonclient.grpc.model_config_pb2 import DataType, ModelConfig, ModelInstanceGroup

from simila.domain.manifest import Modality, TextTower, TritonModel
from simila_models.export.triton_config import write_triton_config
from tiny_manifests import manifest_of, source

MANIFEST = manifest_of(source("weights", b"", path="none"))


@pytest.fixture
def written(tmp_path):
    """What Triton reads of a description of a graph with these inputs."""

    def write(manifest, modality, *inputs):
        graph_inputs = [helper.make_tensor_value_info(name, kind, ["n", *dims]) for name, kind, dims in inputs]
        output = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 3])
        graph = helper.make_graph([], "nothing", graph_inputs, [output])
        onnx.save(helper.make_model(graph), tmp_path / "model.onnx")
        write_triton_config(manifest, modality, tmp_path / "model.onnx", tmp_path / "config.pbtxt")
        return text_format.Parse((tmp_path / "config.pbtxt").read_text(), ModelConfig())

    return write


def test_tensors_are_the_graphs_without_the_batch_axis(written):
    config = written(MANIFEST, Modality.IMAGE, ("pixels", TensorProto.UINT16, [5, 8, 8]))
    assert (config.name, config.backend) == ("tiny.image", "onnxruntime")
    assert [(each.name, each.data_type, list(each.dims)) for each in config.input] == [
        ("pixels", DataType.TYPE_UINT16, [5, 8, 8])
    ]
    assert [(each.name, each.data_type, list(each.dims)) for each in config.output] == [
        ("embedding", DataType.TYPE_FP32, [3])
    ]


def test_weights_beside_the_graph_are_not_read(tmp_path):
    inputs = [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", 3, 8, 8])]
    weights = TensorProto(name="weights", data_type=TensorProto.FLOAT, dims=[2**30])
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="model.onnx.data")
    output = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 3])
    onnx.save(helper.make_model(helper.make_graph([], "large", inputs, [output], [weights])), tmp_path / "model.onnx")
    write_triton_config(MANIFEST, Modality.IMAGE, tmp_path / "model.onnx", tmp_path / "config.pbtxt")
    config = text_format.Parse((tmp_path / "config.pbtxt").read_text(), ModelConfig())
    assert [(each.name, list(each.dims)) for each in config.input] == [("pixels", [3, 8, 8])]


def test_how_it_runs_is_the_manifests(written):
    table = TritonModel(instances=3, kind="gpu", max_batch_rows=16, max_queued_requests=7)
    config = written(MANIFEST.model_copy(update={"triton": table}), Modality.IMAGE, ("pixels", TensorProto.UINT8, [3]))
    assert config.max_batch_size == 16
    assert [(group.count, group.kind) for group in config.instance_group] == [(3, ModelInstanceGroup.KIND_GPU)]
    assert config.dynamic_batching.default_queue_policy.max_queue_size == 7
    assert config.dynamic_batching.max_queue_delay_microseconds == 0


def test_by_default_triton_chooses_the_device(written):
    config = written(MANIFEST, Modality.IMAGE, ("pixels", TensorProto.UINT8, [3, 8, 8]))
    assert [(group.count, group.kind) for group in config.instance_group] == [(1, ModelInstanceGroup.KIND_AUTO)]
    assert config.max_batch_size == 64


@pytest.mark.parametrize(("context", "longest"), [(77, 77), (8192, 256)])
def test_warm_up_is_one_short_text_and_a_batch_of_long_ones(written, context, longest):
    manifest = MANIFEST.model_copy(update={"text": TextTower(context_length_tokens=context, pooling="mean")})
    ids, mask = (("ids", TensorProto.INT64, ["tokens"]), ("mask", TensorProto.INT64, ["tokens"]))
    config = written(manifest, Modality.TEXT, ids, mask)
    shapes = [
        (sample.batch_size, {name: list(tensor.dims) for name, tensor in sample.inputs.items()})
        for sample in config.model_warmup
    ]
    assert shapes == [(1, {"ids": [1], "mask": [1]}), (8, {"ids": [longest], "mask": [longest]})]


def test_warm_up_is_no_larger_than_a_batch(written):
    manifest = MANIFEST.model_copy(update={"triton": TritonModel(max_batch_rows=2)})
    config = written(manifest, Modality.IMAGE, ("pixels", TensorProto.UINT8, [3, 8, 8]))
    assert [sample.batch_size for sample in config.model_warmup] == [1, 2]
    assert list(config.model_warmup[1].inputs["pixels"].dims) == [3, 8, 8]
