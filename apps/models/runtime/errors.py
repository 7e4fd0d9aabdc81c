"""What can go wrong below the registry.

    RuntimeFault
    ├── ModelFormatError      the files are foreign, damaged, hostile or of a kind we can't read
    ├── AdapterFormatError    an adapter's files are foreign or damaged, or don't fit their base
    ├── ModelLoadError        the files look right, but MLX could not make a model of them
    └── ImportDestinationError  the place to write an import to is taken or can't be written

Every message says what happened, why, and what to do, and can be shown to a user.
"""

from __future__ import annotations


class RuntimeFault(Exception):
    """Any failure of the model runtime that a user can do something about."""


class ModelFormatError(RuntimeFault):
    """A model file or folder is not what it claims to be, or is of an unsupported kind."""


class AdapterFormatError(RuntimeFault):
    """An adapter's folder can't be read, is of an unsupported kind, or is made for another base."""


class ModelLoadError(RuntimeFault):
    """A model folder could not be loaded; ``__cause__`` holds the reason as raised."""


class ImportDestinationError(RuntimeFault):
    """An import's destination exists already, or can't be written."""
