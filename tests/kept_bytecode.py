"""Bytecode is kept, whatever the environment says: PYTHONDONTWRITEBYTECODE is for images.

A run of the tests starts Python hundreds of times. Where bytecode is not kept, each of them
compiles thousands of modules anew, which takes longer than most of what they then do.

A pytest plugin, loaded by name in pyproject.toml: it comes before the modules that it is about.
"""

from __future__ import annotations

import os
import sys

sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
