"""Find, load and call plugins."""
