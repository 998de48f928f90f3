"""Encoders as data (manifests) and the way from their checkpoints to ONNX (export)."""
