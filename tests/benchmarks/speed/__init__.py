"""How fast the server is, beside raw ONNX Runtime and beside a peer."""
