"""The Docker dyno driver of hsup."""
