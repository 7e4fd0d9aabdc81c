"""Static files, collected when they changed and only then."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command

STAMP = ".collected"


def collect_static() -> bool:
    """Bring STATIC_ROOT up to date; returns whether there was anything to do.

    Collecting hashes and compresses every file, which is the slowest part of a
    start. Names, sizes and times tell whether the last result still stands.
    """
    root = Path(settings.STATIC_ROOT)
    stamp = root / STAMP
    fingerprint = _fingerprint()
    if stamp.exists() and stamp.read_text() == fingerprint:
        return False
    stamp.unlink(missing_ok=True)
    # Cleared first: collectstatic leaves a file alone whose copy is younger, and an
    # installed older release's files are older than the copies of a newer one.
    call_command("collectstatic", interactive=False, verbosity=0, clear=True)
    stamp.write_text(fingerprint)
    return True


def _fingerprint() -> str:
    """Digest of what collectstatic would read, without reading it."""
    digest = hashlib.sha256(f"{version('django')} {version('whitenoise')}".encode())
    for finder in get_finders():
        for name, storage in finder.list([]):
            stat = Path(storage.path(name)).stat()
            digest.update(f"{storage.path(name)} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()
