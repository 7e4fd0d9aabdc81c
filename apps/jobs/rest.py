"""The routes by which programs follow jobs of one kind and steer them, the same for every kind.

An app's routes make one ``JobRoutes`` and say, in functions of a job, what each does with it:

    jobs = JobRoutes(router, "/downloads", rows=Download.objects.newest_first, ...)

    @jobs.action("pause", summary="Pause a download")
    def pause_download(download: Download) -> None:
        '''What the OpenAPI document says of it.'''
        services.pause(download=download)

To find the row, to refuse a number that there is not and to answer with the job as it is
afterwards is settled here. A list has filters of its own and an order a body of its own:
they stay functions of a request.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Generic, Literal, Protocol, TypeVar

from django.db.models import QuerySet
from django.http import HttpRequest
from ninja import Query, Router, Status
from pydantic import BaseModel

from apps.jobs.models import J, Job

Limit = Annotated[int, Query(ge=1, le=200)]
Offset = Annotated[int, Query(ge=0, le=10**9)]

StateName = Literal["queued", "running", "paused", "done", "failed", "cancelled", "interrupted"]
"""A ``JobState`` as documents spell it out."""

Act = Callable[[J], Any]
Decorator = Callable[[Act[J]], Act[J]]

J_contra = TypeVar("J_contra", bound=Job, contravariant=True)


class NoSuchJob(Exception):
    """There is no job of this number; ``code`` tells programs of which kind."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class JobSchema(Protocol[J_contra]):
    """A pydantic model that tells of a job."""

    @classmethod
    def of(cls, job: J_contra, /) -> BaseModel:
        """The job as it is now."""


class JobRoutes(Generic[J]):
    """What stands under ``path``/NUMBER for one kind of job.

    A function that is given to it keeps its name and docstring, from which the document has
    the operation's id and description.
    """

    def __init__(
        self,
        router: Router,
        path: str,
        *,
        rows: Callable[[], QuerySet[J]],
        out: type[JobSchema[J]],
        fault: type[BaseModel],
        called: str,
        code: str,
    ) -> None:
        """``path``: of the list, below /api. ``rows``: the jobs, those of dead processes settled.

        ``out`` is what tells of a job, ``fault`` of a refusal. ``called`` and ``code`` name
        the kind, to people and to programs, where there is no job of a number.
        """
        self._router = router
        self._path = path
        self._rows = rows
        self._out = out
        self._fault = fault
        self._called = called
        self._code = code

    def numbered(self, key: int) -> J:
        """Raises NoSuchJob."""
        job = self._rows().filter(pk=key).first()
        if job is None:
            message = f"There is no {self._called} {key}. GET /api{self._path} lists them."
            raise NoSuchJob(message, code=self._code)
        return job

    def show(self, *, summary: str) -> Decorator[J]:
        """GET: what the function makes of the job is the answer."""
        return self._route("GET", "", summary, {200: self._out}, lambda act, job: act(job))

    def action(
        self, name: str, *, summary: str, status: int = 200, refusals: tuple[int, ...] = ()
    ) -> Decorator[J]:
        """POST to /``name``: the function acts on the job, which is then answered.

        ``status``: of that answer. ``refusals``: what else it may be, beside 404.
        """

        def answer(act: Act[J], job: J) -> Status[BaseModel]:
            act(job)
            return Status(status, self._out.of(job))

        return self._route("POST", f"/{name}", summary, {status: self._out}, answer, refusals)

    def removal(self, *, summary: str) -> Decorator[J]:
        """DELETE: the function forgets the job, or refuses to, with 409."""

        def answer(act: Act[J], job: J) -> Status[None]:
            act(job)
            return Status(204, None)

        return self._route("DELETE", "", summary, {204: None}, answer, (409,))

    def _route(
        self,
        method: str,
        below: str,
        summary: str,
        done: dict[int, Any],
        answer: Callable[[Act[J], J], Any],
        refusals: tuple[int, ...] = (),
    ) -> Decorator[J]:
        response = done | dict.fromkeys(sorted({404, *refusals}), self._fault)
        path = f"{self._path}/{{int:key}}{below}"
        operation = self._router.api_operation([method], path, response=response, summary=summary)

        def mount(act: Act[J]) -> Act[J]:
            def view(request: HttpRequest, key: int) -> Any:
                return answer(act, self.numbered(key))

            # Not functools.wraps: django-ninja would take the signature of ``act`` for the view's.
            view.__module__, view.__name__, view.__doc__ = act.__module__, act.__name__, act.__doc__
            operation(view)
            return act

        return mount
