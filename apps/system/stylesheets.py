"""Stylesheets that are written in parts, and served whole.

A sheet such as ``static/css/components.css`` only names its parts:

    @import url("components/buttons.css");

A browser follows that by itself, which is enough in debug mode. Collected, the parts stand
in the sheet, so that a page asks for one file where it would ask for a chain of them. The
unhashed copy, which templates/bare.html falls back to, goes on naming its parts.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.core.files.base import ContentFile, File
from django.core.files.storage import Storage

if TYPE_CHECKING:  # WhiteNoise has no types; this is what it builds on
    from django.contrib.staticfiles.storage import ManifestStaticFilesStorage as _HashedStorage
else:
    from whitenoise.storage import CompressedManifestStaticFilesStorage as _HashedStorage

IMPORT = re.compile(r'^@import url\("(?P<part>[^"]+)"\);$', re.MULTILINE)
"""The one spelling of an import that stylesheets here use."""


class WholeSheets(Storage):
    """The stylesheets of another storage with their parts in them; for reading alone."""

    def __init__(self, source: Storage) -> None:
        self._source = source

    def _open(self, name: str, mode: str = "rb") -> File[Any]:
        """A sheet, its imports replaced. Raises FileNotFoundError where a part is missing."""
        folder = posixpath.dirname(name)

        def part(statement: re.Match[str]) -> str:
            return self._text(posixpath.join(folder, statement["part"]))

        return ContentFile(IMPORT.sub(part, self._text(name)).encode(), name)

    def _text(self, name: str) -> str:
        with self._source.open(name) as sheet:
            return bytes(sheet.read()).decode()


class SheetsStorage(_HashedStorage):
    """Hashed and compressed static files, with each stylesheet in one piece."""

    def post_process(
        self, paths: dict[str, tuple[Storage, str]], dry_run: bool = False, **options: Any
    ) -> Iterator[Any]:
        """Hash and compress ``paths``: by name, the storage that has a file and its path there.

        Yields what the storages of Django and WhiteNoise do: name, hashed name, and whether it
        was processed or why not.
        """
        whole = {
            name: (WholeSheets(storage) if name.endswith(".css") else storage, path)
            for name, (storage, path) in paths.items()
        }
        yield from super().post_process(whole, dry_run=dry_run, **options)
