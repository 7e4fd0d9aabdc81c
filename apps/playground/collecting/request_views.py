"""The page that makes a dataset of requests to the API; it is reached from the Usage page."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from apps.datasets.authors import author_of
from apps.datasets.errors import DatasetError
from apps.datasets.shown import shown
from apps.inference.usage.filters import UsageFilter
from apps.inference.usage.models import RequestRecord
from apps.playground.collecting.forms import NameForm
from apps.playground.collecting.requests import make_dataset_of_requests, rows_of_requests
from apps.uploads.pieces import UploadRefused

_PREVIEWED = 3


@require_http_methods(["GET", "HEAD", "POST"])
def collect_requests(request: HttpRequest) -> HttpResponse:
    """How many rows the requests of the address come to; a post makes the dataset."""
    chosen = UsageFilter(request.GET)
    records = chosen.records() if chosen.is_valid() else RequestRecord.objects.none()
    form = NameForm(request.POST if request.method == "POST" else None)
    problem = ""
    if request.method == "POST" and form.is_valid():
        name = form.cleaned_data["name"]
        try:
            job = make_dataset_of_requests(records=records, name=name, by=author_of(request))
            return redirect(job.dataset)
        except (DatasetError, UploadRefused) as error:
            problem = str(error)
    rows = list(rows_of_requests(records))
    context = {
        "form": form,
        "problem": problem,
        "count": len(rows),
        "previews": [shown(row) for row in rows[:_PREVIEWED]],
        "query": request.GET.urlencode(),
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "playground/collect_requests.html", context, status=status)
