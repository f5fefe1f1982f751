"""The control groups of dynos, of version 1 and 2: where they are, limits and counters."""
