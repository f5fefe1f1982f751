"""Write the configuration with which another supervisor runs the dynos of a release."""
