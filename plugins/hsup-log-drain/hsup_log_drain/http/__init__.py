"""Deliver lines over HTTP, as the platform does."""
