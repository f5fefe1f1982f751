"""The root file systems that dynos run on: known by name, fetched once, shared by all."""
