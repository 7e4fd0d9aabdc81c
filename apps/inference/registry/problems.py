"""What the registry refuses, as answers of the API."""

from __future__ import annotations

from apps.inference.api.errors import Problem, problem
from apps.models.errors import InvalidName, JobActive, ModelInUse, NameTaken, RegistryError


class LeftoverNotFound(Exception):
    """There is nothing of this name that could be removed."""


class BadModelSetting(Exception):
    """A setting of a model makes no sense; ``param`` is the one at fault."""

    def __init__(self, message: str, *, param: str | None) -> None:
        super().__init__(message)
        self.param = param


RegistryFault = RegistryError | LeftoverNotFound | BadModelSetting
"""What ``registry_problem`` knows."""


def registry_problem(error: RegistryFault) -> Problem:
    """The answer to what the registry refused."""
    match error:
        case LeftoverNotFound():
            return problem(404, str(error), code="leftover_not_found")
        case BadModelSetting():
            return problem(400, str(error), param=error.param, code="invalid_setting")
        case NameTaken():
            return problem(409, str(error), param="name", code="name_taken")
        case InvalidName():
            return problem(400, str(error), param="name", code="invalid_name")
        case ModelInUse():
            return problem(409, str(error), code="model_in_use")
        case JobActive():
            return problem(409, str(error), code="job_active")
        case _:
            return problem(400, str(error), code="registry_refused")
