"""The control directory source of hsup: releases are JSON files put into a directory."""

from __future__ import annotations

#: The variable that names the control directory, as in the Go program.
CONTROL_DIR = "HSUP_CONTROL_DIR"
