"""The Disk page: what takes space, and buttons for what may go."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from apps.models.disk import leftovers, logs
from apps.models.disk.usage import disk_usage
from apps.models.errors import ModelInUse
from apps.models.sizes import readable


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """What takes space now."""
    return render(request, "models/disk.html", {"usage": disk_usage()})


@require_POST
def remove_leftover(request: HttpRequest) -> HttpResponse:
    """Removes a folder that nobody uses (``name``)."""
    name = request.POST.get("name", "")
    try:
        freed = leftovers.remove(name)
    except ModelInUse as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"{name} is removed, {readable(freed)} freed.")
    return redirect("models:disk")


@require_POST
def remove_old_logs(request: HttpRequest) -> HttpResponse:
    """Removes log files that nothing writes to any more."""
    freed = logs.remove_old_logs()
    messages.success(request, f"Old logs are removed, {readable(freed)} freed.")
    return redirect("models:disk")
