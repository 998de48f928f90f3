"""Simila: image and text vectors, classification and similarity search in one process."""

import os

__version__ = "0.1.0"

# ONNX Runtime reports models and runs to its maker unless this is there before it is first imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
