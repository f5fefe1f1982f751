"""Fetch, verify and read archives: those of slugs and of stacks."""
