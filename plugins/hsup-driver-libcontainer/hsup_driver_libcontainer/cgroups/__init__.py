"""The cgroups of dynos, of version 1 and 2: their layout, limits and counters."""
