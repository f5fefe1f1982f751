"""The images of dynos: a slug on its stack."""
