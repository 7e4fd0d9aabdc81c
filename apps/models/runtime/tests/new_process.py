"""Code in an interpreter that has imported nothing and allocated nothing yet."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[4]
SECONDS = 60.0


def in_new_process(code: str) -> str:
    """What ``code`` prints."""
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=SECONDS
    )
    return done.stdout.strip()
