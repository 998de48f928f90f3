"""What is compiled of a torch program: each bucket once, and nothing larger."""

import numpy as np
import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounter

from simila.backends import TowerGraph
from simila.backends.torch_backend import TorchBackend
from simila.domain.manifest import Modality
from simila.domain.model_repository import ModelRepository
from tiny_encoders import TinyEncoder
from tolerances import FLOAT32_VALUES


class Words(nn.Module):
    """What `TinyEncoder` does, in torch."""

    def __init__(self, table: np.ndarray) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.from_numpy(table))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        sums = (self.table[input_ids] * attention_mask.unsqueeze(-1)).sum(1)
        return sums / sums.norm(dim=1, keepdim=True)


def test_every_bucket_is_compiled_once_and_no_larger_batch(tmp_path, monkeypatch):
    encoder = TinyEncoder("tiny", 1)
    manifest = encoder.export(tmp_path)
    files = ModelRepository(tmp_path / "models").tower("tiny", Modality.TEXT)
    example = tuple(torch.ones(2, 5, dtype=torch.int64) for _ in range(2))  # of one tensor it would make one input
    axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens")}
    files.torch_program.parent.mkdir(exist_ok=True)
    torch.export.save(
        torch.export.export(Words(encoder.table), example, dynamic_shapes=(axes, axes)), files.torch_program
    )
    counter, compiling = CompileCounter(), torch.compile

    def compile_by_counter(run, *, mode, **given):
        assert mode == "reduce-overhead"
        return compiling(run, backend=counter, **given)

    monkeypatch.setattr(torch, "compile", compile_by_counter)
    backend = TorchBackend(TowerGraph(manifest, Modality.TEXT, files, files.onnx), "cpu", compiled=True)

    def run(rows, tokens):
        mask = np.zeros((rows, tokens), dtype=np.int64)
        mask[:, :2] = 1
        found = backend.run({"input_ids": np.array([[0, 3] + [1] * (tokens - 2)] * rows), "attention_mask": mask})
        np.testing.assert_allclose(found, [encoder.vector("red house")] * rows, atol=FLOAT32_VALUES)

    for rows in (1, 2, 4, 8):
        for tokens in (16, 32, 64, 9):
            run(rows, tokens)
    assert counter.frame_count == 12, "more than torch compiles unless told"
    run(40, 16)
    assert counter.frame_count == 12
