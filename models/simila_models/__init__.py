"""Encoders as data (manifests) and the way from their checkpoints to ONNX (export)."""

import simila  # noqa: F401  it keeps ONNX Runtime, which the export imports first of all, from reporting
