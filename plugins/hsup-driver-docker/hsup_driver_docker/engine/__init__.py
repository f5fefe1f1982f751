"""Speak with a Docker Engine; knows nothing of dynos."""
