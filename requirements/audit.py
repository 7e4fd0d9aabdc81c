"""Look the locked versions up among known vulnerabilities. Without a network nothing is looked up.

pip-audit ends with 1 for both; only where it found something is that a failure here.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
LOCKS = ("hub.txt", "setup.txt")
SECONDS = 120


def main() -> int:
    """0: nothing found, or nobody to ask."""
    locks = [argument for name in LOCKS for argument in ("--requirement", str(HERE / name))]
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--progress-spinner", "off"]
    try:
        done = subprocess.run(  # noqa: S603 - our own command
            [*command, *locks], check=False, capture_output=True, text=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        print(f"pip-audit: no answer in {SECONDS} s, versions not checked.")  # noqa: T201
        return 0
    found = "known vulnerabilit" in done.stderr and "No known" not in done.stderr
    if done.returncode and not found:
        reason = done.stderr.strip().rpartition("\n")[2][:200]
        print(f"pip-audit: versions not checked ({reason})")  # noqa: T201
        return 0
    unknown = done.stdout.count("could not be audited")
    print(done.stdout if found else "pip-audit: no known vulnerabilities.")  # noqa: T201
    if unknown:
        print(f"{unknown} packages could not be looked up here.")  # noqa: T201
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
