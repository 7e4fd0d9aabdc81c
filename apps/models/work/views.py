"""The pages where work on models is ordered, and where it is followed."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from apps.models.errors import JobActive
from apps.models.models import LocalModel
from apps.models.work import services
from apps.models.work.exporting import exports_dir
from apps.models.work.forms import ConvertForm, ExportForm, FuseForm, OrderForm
from apps.models.work.models import ModelJob
from apps.models.work.shown import facts_of, figures_of, notes_of
from apps.rendering.htmx import HtmxHttpRequest

PER_PAGE = 50


@require_http_methods(["GET", "HEAD", "POST"])
def order_conversion(request: HttpRequest, slug: str) -> HttpResponse:
    """The form for a conversion; a POST starts it."""
    model = get_object_or_404(LocalModel, slug=slug)
    return _order(request, ConvertForm(request.POST or None, model=model), "convert")


@require_http_methods(["GET", "HEAD", "POST"])
def order_fusion(request: HttpRequest, slug: str) -> HttpResponse:
    """The form for a fusion (``?adapter=`` chooses one); a POST starts it."""
    model = get_object_or_404(LocalModel, slug=slug)
    initial = {"adapter": request.GET.get("adapter", "")}
    form = FuseForm(request.POST or None, model=model, initial=initial)
    return _order(request, form, "fuse")


@require_http_methods(["GET", "HEAD", "POST"])
def order_export(request: HttpRequest, slug: str) -> HttpResponse:
    """The form for an export; a POST starts it."""
    model = get_object_or_404(LocalModel, slug=slug)
    return _order(request, ExportForm(request.POST or None, model=model), "export")


@require_POST
def verify(request: HttpRequest, slug: str) -> HttpResponse:
    """Starts to compare the model's files with what was registered."""
    job = services.order_verification(model=get_object_or_404(LocalModel, slug=slug))
    services.start(job=job)
    return redirect("models:job", job.pk)


@require_safe
@vary_on_headers("HX-Request")
def jobs(request: HtmxHttpRequest) -> HttpResponse:
    """Every job, the newest first. For htmx the table alone."""
    page = Paginator(ModelJob.objects.newest_first(), PER_PAGE).get_page(request.GET.get("page"))
    context = {"jobs": page, "active": any(job.is_active for job in page)}
    return render(request, f"models/jobs.html{'#table' if request.htmx else ''}", context)


@require_safe
@vary_on_headers("HX-Request")
def job(request: HtmxHttpRequest, key: int) -> HttpResponse:
    """One job: how far it is, or what it made. For htmx the part that changes."""
    return _job(request, get_object_or_404(ModelJob.objects.newest_first(), pk=key))


@require_POST
def cancel(request: HtmxHttpRequest, key: int) -> HttpResponse:
    """Ends a job; the page follows until it has ended."""
    one = get_object_or_404(ModelJob.objects.newest_first(), pk=key)
    services.cancel(job=one)
    return _job(request, one) if request.htmx else redirect("models:job", key)


@require_POST
def repeat(request: HttpRequest, key: int) -> HttpResponse:
    """Starts a job again that did not get to its end."""
    services.repeat(job=get_object_or_404(ModelJob, pk=key))
    return redirect("models:job", key)


@require_POST
def delete(request: HttpRequest, key: int) -> HttpResponse:
    """Forgets a job that is over; what it made stays."""
    try:
        services.forget(job=get_object_or_404(ModelJob, pk=key))
    except JobActive as error:
        messages.error(request, str(error))
        return redirect("models:job", key)
    messages.success(request, f"Job {key} is forgotten. What it made stays.")
    return redirect("models:jobs")


def _order(request: HttpRequest, form: OrderForm, what: str) -> HttpResponse:
    if form.is_bound and form.is_valid():
        job = form.order()
        if job is not None:
            return redirect("models:job", job.pk)
    context = {"form": form, "model": form.model, "what": what, "exports": exports_dir()}
    return render(request, "models/order.html", context, status=422 if form.is_bound else 200)


def _job(request: HtmxHttpRequest, job: ModelJob) -> HttpResponse:
    context: dict[str, Any] = {
        "job": job,
        "facts": facts_of(job),
        "figures": figures_of(job),
        "notes": notes_of(job),
    }
    return render(request, f"models/job.html{'#job' if request.htmx else ''}", context)
