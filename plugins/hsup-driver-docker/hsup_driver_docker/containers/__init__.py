"""The containers of dynos: made, watched, ended, and found again by the next hsup."""
