"""A Python client for Simila."""
