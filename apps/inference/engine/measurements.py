"""How much memory loads really took, remembered for the next time.

A small JSON file, by content digest and back end: the back end decides in which
precision weights are held. What can't be read or written costs the memory of a
measurement, never a load.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, PositiveInt, ValidationError

logger = logging.getLogger(__name__)

MAX_LOADS = 512
"""Models remembered; the one measured longest ago goes first."""


class _Contents(BaseModel):
    version: Literal[1] = 1
    bytes: dict[str, PositiveInt] = {}
    """By ``digest|backend``, the latest last."""


class Measurements:
    def __init__(self, path: Path | None, backend: str) -> None:
        """``path`` None: nothing outlives the process."""
        self._path = path
        self._backend = backend
        self._bytes = _read(path) if path is not None else {}

    def get(self, digest: str) -> int | None:
        """Bytes that the last load of this model took; None before the first."""
        return self._bytes.get(self._key(digest))

    def record(self, digest: str, nbytes: int) -> None:
        """Note what a load took, if that works."""
        key = self._key(digest)
        if nbytes <= 0:
            return
        self._bytes.pop(key, None)
        self._bytes[key] = nbytes
        for oldest in list(self._bytes)[:-MAX_LOADS]:
            del self._bytes[oldest]
        if self._path is not None:
            _write(self._path, _Contents(bytes=self._bytes))

    def _key(self, digest: str) -> str:
        return f"{digest}|{self._backend}"


def _read(path: Path) -> dict[str, int]:
    try:
        return dict(_Contents.model_validate_json(path.read_bytes()).bytes)
    except FileNotFoundError:
        return {}
    except (OSError, ValidationError) as error:
        logger.warning("measured loads: %s can't be read, starting over: %s", path, error)
        return {}


def _write(path: Path, contents: _Contents) -> None:
    temporary = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary.write_text(contents.model_dump_json())
        temporary.replace(path)
    except OSError as error:
        logger.warning("measured loads: %s can't be written: %s", path, error)
