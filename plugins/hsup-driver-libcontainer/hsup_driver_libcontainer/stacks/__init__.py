"""Stacks, the root file systems that dynos run on: named, fetched once, shared by all."""
