"""The command line of hsup, and what it needs of its process: settings, signals, process 1."""
