"""Where these tests have what they share."""

from __future__ import annotations

import os
import sys

sys.path.append(os.path.dirname(__file__))
