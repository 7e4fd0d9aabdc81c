"""A disk that takes no more writes, told as what it is and not as a fault of the hub."""

from __future__ import annotations

import logging

from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.deprecation import MiddlewareMixin

logger = logging.getLogger(__name__)

INSUFFICIENT_STORAGE = 507

_SQLITE_SAYS = ("database or disk is full", "attempt to write a readonly database")


class UnwritableMiddleware(MiddlewareMixin):
    """Answers 507 where SQLite could not write; every other error goes its way."""

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not (isinstance(error, OperationalError) and str(error).startswith(_SQLITE_SAYS)):
            return None
        logger.error("%s %s could not be stored: %s", request.method, request.path, error)
        # A new page takes the place of the one it was written on.
        context = {"content": request.POST.get("content", "")}
        return render(request, "507.html", context, status=INSUFFICIENT_STORAGE)
