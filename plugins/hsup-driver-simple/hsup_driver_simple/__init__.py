"""The simple dyno driver of hsup: dynos are plain processes in the current directory."""
