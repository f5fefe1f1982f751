"""Fetch archives, verify them and read them, of slugs as of stacks."""
