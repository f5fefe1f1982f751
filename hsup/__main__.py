"""Run hsup as `python -m hsup`."""

from hsup.cli import main

if __name__ == "__main__":
    main()
