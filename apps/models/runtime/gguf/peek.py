"""The first lines of a GGUF file: enough to say what it is, in a millisecond.

A whole header holds a vocabulary, which takes a while to read. What a model is comes
before that in every file that llama.cpp wrote.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gguf import LlamaFileType

from apps.models.runtime.gguf.config import ARCHITECTURES
from apps.models.runtime.gguf.reader import Cursor, Malformed, check_counts, opened, refused

_LONGEST_TEXT = 64 * 1024
_VOCABULARY = "tokenizer."
"""Where the long part of a header begins."""

_SPLIT = re.compile(r"-\d{5}-of-(?P<parts>\d{5})\.gguf$", re.IGNORECASE)
"""What llama-gguf-split calls a part; the metadata says it too, and after the vocabulary."""


@dataclass(frozen=True)
class Peek:
    """What the head of a file says."""

    architecture: str
    detail: str
    """Family and kind of weights, such as "qwen3, Q4_K_M"."""
    problem: str
    """Why it can't be imported, as far as the head tells; empty where nothing speaks against it."""


def peek(path: Path) -> Peek:
    """Read the head of a GGUF file. Raises ModelFormatError where it is none."""
    try:
        with opened(path) as stream:
            found = _values(Cursor(stream, path.stat().st_size))
    except (OSError, struct.error, UnicodeDecodeError, Malformed) as error:
        raise refused(path, error) from error
    architecture = found.get("general.architecture")
    if not isinstance(architecture, str) or not architecture:
        raise refused(path, Malformed("it names no family of models"))
    kind = _file_type(found.get("general.file_type"))
    detail = f"{architecture[:40]}, {kind}" if kind else architecture[:40]
    return Peek(architecture, detail, _problem(path, architecture))


def _values(cursor: Cursor) -> dict[str, Any]:
    """Metadata up to the vocabulary."""
    _, count = check_counts(cursor)
    found: dict[str, Any] = {}
    for _ in range(count):
        key = cursor.string("a metadata key", _LONGEST_TEXT)
        if key.startswith(_VOCABULARY) and "general.architecture" in found:
            break
        found[key] = cursor.value(cursor.unpack("I", repr(key)), repr(key))
    return found


def _file_type(number: object) -> str:
    """llama.cpp's name for the mix of types, such as "Q4_K_M"; empty for an unknown one."""
    try:
        name: str = LlamaFileType(number).name
    except ValueError:
        return ""
    return name.removeprefix("MOSTLY_").removeprefix("ALL_")


def _problem(path: Path, architecture: str) -> str:
    if architecture not in ARCHITECTURES:
        return (
            f"GGUF import does not know the family {architecture[:40]!r}. Look for the model in "
            "MLX's own format."
        )
    split = _SPLIT.search(path.name)
    if split and int(split["parts"]) > 1:
        parts = int(split["parts"])
        return f"It is one of {parts} parts. Merge them with `llama-gguf-split --merge`."
    return ""
