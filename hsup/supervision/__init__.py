"""Keep the dynos of releases running: decide what to run, and run it."""
