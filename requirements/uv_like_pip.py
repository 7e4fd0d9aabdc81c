"""Run uv with the package index, certificates and proxy that pip is configured for.

uv reads no pip configuration. On a machine where only pip is set up (a mirror, a
company certificate, wheels in a folder) this passes pip's settings on to uv as
the environment variables uv reads. A variable that is already set wins.

Use: ``python requirements/uv_like_pip.py pip install …`` with the Python whose
pip is configured; uv is the one beside that Python.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

SINGLE = {
    "index-url": "UV_DEFAULT_INDEX",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
    "timeout": "UV_HTTP_TIMEOUT",
}
"""pip options of one value, as uv's variables."""

LISTS = {
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "trusted-host": ("UV_INSECURE_HOST", " "),
}
"""pip options of several values: uv's variable and what separates its values."""

SECTIONS = ("global", "install", ":env:")
"""Sections of ``pip config list``, later ones over earlier ones, as pip reads them."""


def pip_options(listing: str) -> dict[str, str]:
    """Options of ``pip config list`` by name, from lines like ``global.index-url='…'``."""
    found: dict[str, dict[str, str]] = {section: {} for section in SECTIONS}
    for line in listing.splitlines():
        key, separator, value = line.partition("=")
        section, dot, option = key.rpartition(".")
        if separator and dot and section in found:
            found[section][option] = str(ast.literal_eval(value))
    return {option: value for section in SECTIONS for option, value in found[section].items()}


def uv_variables(options: Mapping[str, str]) -> dict[str, str]:
    """What uv has to be told so that it asks where pip with ``options`` would."""
    variables = {SINGLE[name]: value for name, value in options.items() if name in SINGLE}
    for name, (variable, separator) in LISTS.items():
        if values := options.get(name, "").split():
            variables[variable] = separator.join(values)
    if options.get("no-index", "").lower() in {"1", "true", "yes", "on"}:
        variables["UV_NO_INDEX"] = "1"
    if "UV_INDEX" in variables:
        # pip looks at all indexes and takes the best match. The locks carry
        # hashes, so another index can't slip in a different file.
        variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return variables


def main(arguments: list[str]) -> None:
    """Replace this process by uv with ``arguments``."""
    listing = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    uv = str(Path(sys.executable).parent / "uv")
    environment = uv_variables(pip_options(listing)) | dict(os.environ)
    os.execve(uv, [uv, *arguments], environment)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
