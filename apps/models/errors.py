"""What the registry refuses.

    RegistryError
    ├── NameTaken     the name belongs to another model
    ├── InvalidName   the name can't be used in addresses and commands
    ├── ModelInUse    something still depends on the model
    ├── WorkFailed    a job's process did not get to its end
    └── JobActive     a job that is not over can't be forgotten

Failures of model files themselves are ``runtime.errors.RuntimeFault``.
"""

from __future__ import annotations


class RegistryError(Exception):
    """A registry operation was refused; the message says why and what to do."""


class NameTaken(RegistryError):
    """Another model has this slug."""


class InvalidName(RegistryError):
    """The slug holds characters that addresses and commands can't carry."""


class ModelInUse(RegistryError):
    """The model can't be deleted while something is built on it."""


class WorkFailed(RegistryError):
    """The process that worked on a model did not get to its end."""


class JobActive(RegistryError):
    """A job that is not over can't be deleted."""
