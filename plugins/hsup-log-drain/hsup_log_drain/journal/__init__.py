"""Deliver lines to systemd's journal."""
