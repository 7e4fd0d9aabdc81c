"""The official openai package for Node, run against a hub: tests/e2e/node holds its tests."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

FOLDER = Path(__file__).parent / "e2e" / "node"
SECONDS = 300.0


def run_node_tests(name: str, *, url: str, model: str, embedder: str = "") -> None:
    """Run the tests of ``NAME.test.js`` against the hub at ``url``; fails with what they print."""
    node = shutil.which("node")
    assert node is not None, (
        "Node is not installed. Debian, Ubuntu: sudo apt-get install nodejs npm"
    )
    assert (FOLDER / "node_modules").is_dir(), f"Run `npm ci` in {FOLDER}."
    ended = subprocess.run(
        [node, "--test", f"{name}.test.js"],
        cwd=FOLDER,
        env=os.environ | {"HUB_URL": url, "HUB_MODEL": model, "HUB_EMBEDDER": embedder},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ended.returncode == 0, f"{name}.test.js failed:\n{ended.stdout}"
