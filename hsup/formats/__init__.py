"""How log lines are formatted, on hsup's own streams and elsewhere."""
