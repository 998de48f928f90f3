"""Simila: image and text vectors, classification and similarity search in one process."""

__version__ = "0.1.0"
