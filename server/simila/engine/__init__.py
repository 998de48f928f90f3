"""Inputs to unit vectors."""
