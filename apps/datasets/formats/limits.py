"""The bounds of what is read, so that no file can take the memory or the disk."""

from __future__ import annotations

MAX_ROW_BYTES = 8 * 1024 * 1024
"""Of one line, field, element or text piece: two million tokens; no model learns more at once."""

MAX_COLUMNS = 2_000
"""Of a table, or keys of one object."""

MAX_WHOLE_JSON_BYTES = 64 * 1024 * 1024
"""Of a JSON file that is one object and so is read whole."""

MAX_FILES = 20_000
"""Of a folder or an archive."""

MAX_UNPACKED_BYTES = 200 * 1024**3
"""Of everything in one archive or compressed file."""

BOMB_FROM_BYTES = 256 * 1024 * 1024
"""Unpacked bytes from which on the ratio below is looked at."""

BOMB_RATIO = 200
"""Unpacked to packed. Repetitive JSONL comes to 20; what deflate packs at 1000 holds nothing."""

MAX_PARQUET_MEMORY = 2_000_000_000
"""Resident, of the process that reads a Parquet file: some row groups at a time."""

CHUNK_BYTES = 256 * 1024
"""Bytes read at a time."""

DOCUMENT_CHARACTERS = 8_000
"""About how long a piece of a plain text is; it ends at a blank line."""

SAMPLE_CHARACTERS = 200
"""Of what is shown of something wrong."""
