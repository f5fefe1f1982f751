"""Runs the dynos of hsup in namespaces and control groups, without a daemon."""
