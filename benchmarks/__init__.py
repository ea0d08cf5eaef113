"""Measurements side by side, in one run: `make bench`."""

import sys
from pathlib import Path

# What renders, installs and starts services is the tests'.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
