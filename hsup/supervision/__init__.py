"""Keep the dynos of releases running: the decisions, and those who carry them out."""
