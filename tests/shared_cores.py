"""Each of several test processes computes on its share of the cores.

A BLAS takes all cores, and its threads turn idly while they wait for their next piece of work:
with two processes that multiply matrices, on cores that the other one could use.

A pytest plugin, loaded by name in pyproject.toml: it has to come before anything loads a BLAS.
What tests start inherits the setting.
"""

from __future__ import annotations

import os

_THREADS = ("MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

if (_processes := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))) > 1:
    for _name in _THREADS:
        os.environ.setdefault(_name, str(max(1, (os.cpu_count() or 1) // _processes)))
