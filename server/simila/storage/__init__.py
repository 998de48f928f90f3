"""Durable truth: the data folder, and one SQLite file a collection."""
