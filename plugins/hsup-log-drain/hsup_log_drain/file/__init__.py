"""Deliver lines to files."""
