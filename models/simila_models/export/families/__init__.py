"""Recipes, one module a family. `towers(manifest, files)` gives what to export, by modality."""
