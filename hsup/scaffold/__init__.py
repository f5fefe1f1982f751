"""Guess the process types of an application from the files in its directory."""
