import numpy as np
import onnx
import pytest

from simila.backends.integer_product import LARGEST_DIGIT, IntegerProduct, _model


@pytest.mark.parametrize(("rows", "dimension", "classes"), [(1, 1, 1), (2, 384, 1001), (32, 130, 7), (0, 8, 3)])
def test_products_are_numpys(rows, dimension, classes):
    random = np.random.default_rng(0)
    codes = random.integers(-127, 128, size=(dimension, classes)).astype(np.int8)
    digits = random.integers(-LARGEST_DIGIT, LARGEST_DIGIT + 1, size=(rows, dimension)).astype(np.int32)
    assert IntegerProduct(codes)(digits).tolist() == (digits @ codes.astype(np.int32)).tolist()


@pytest.mark.parametrize("sign", [-1, 1])
def test_the_largest_products_do_not_overflow(sign):
    codes = np.full((2048, 3), sign * 127, dtype=np.int8)
    product = IntegerProduct(codes)(np.full((1, 2048), LARGEST_DIGIT, dtype=np.int32))
    assert product.tolist() == [[sign * 127 * LARGEST_DIGIT * 2048] * 3]


def test_codes_may_go_once_they_are_laid_out():
    codes = np.ones((4, 2), dtype=np.int8)
    product = IntegerProduct(codes)
    codes[:] = 5
    assert product(np.ones((1, 4), dtype=np.int32)).tolist() == [[4, 4]]


def test_the_model_is_one_that_onnx_would_write():
    model = onnx.load_from_string(_model(384, 1001))
    (node,) = model.graph.node
    assert (node.op_type, list(node.input), list(node.output)) == (
        "MatMulInteger",
        ["digits", "codes", "zero"],
        ["product"],
    )
    assert list(model.graph.initializer[0].dims) == [384, 1001]
    assert model.SerializeToString() == _model(384, 1001)
