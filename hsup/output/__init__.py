"""Relay the output of dynos and hsup's own lines from pipes to log sinks."""
