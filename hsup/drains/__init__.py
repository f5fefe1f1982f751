"""Deliver log lines to destinations outside of hsup, each on its own."""
