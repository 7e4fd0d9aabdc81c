"""A data folder for the tests: none of them may touch the user's own hub.

A pytest plugin, loaded by name in pyproject.toml: it has to come before
pytest-django, which imports the settings before it reads any conftest.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

_home = tempfile.mkdtemp(prefix="mlx-hub-tests-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
os.environ["MLXHUB_HOME"] = _home
