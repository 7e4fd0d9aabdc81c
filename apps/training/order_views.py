"""The pages where a training job is put together, examined and ordered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers

from apps.inference import residency
from apps.inference.client import EngineError
from apps.models.models import LocalModel
from apps.rendering.htmx import HtmxHttpRequest
from apps.training import services
from apps.training.errors import BadOrder
from apps.training.form_settings import flat, initial_of, nested
from apps.training.forms import OrderForm
from apps.training.models import Sweep, TrainingJob
from apps.training.orders import settings_of
from apps.training.place_form import PlaceForm
from apps.training.preflight import examine
from apps.training.shown import duration
from apps.training.sweep_form import SweepForm
from apps.training.sweeps import SweepOrder, order_sweep
from apps.training.timing import newest_timing, order_timing
from apps.training.trainer.mlx_lm_yaml import write_yaml

_LOOKS = ("import", "safer", "examine", "time")
"""Actions that order nothing yet."""

_IN_ADDRESS = {
    "model": "model",
    "folder": "folder",
    "data": "folder",
    "name": "name",
    "start": "resume_adapter_file",
}
"""Fields that a link fills in, by what it calls them."""


@require_http_methods(["GET", "HEAD", "POST"])
@vary_on_headers("HX-Request")
def new(request: HtmxHttpRequest) -> HttpResponse:
    """The form; what it begins with is in the address (``?clone=1``, or any of ``_IN_ADDRESS``).

    A POST says by ``action`` what is wanted: to ``order``, to ``examine`` what is asked
    for (for htmx what came of it alone), to ``time`` a step of it, to take the ``safer``
    settings, to ``import`` YAML.
    """
    if request.method != "POST":
        return _form(request, OrderForm(initial=_initial(request)))
    match request.POST.get("action"):
        case "import":
            return _imported(request)
        case "safer":
            form = OrderForm(request.POST)
            form = _with(form, flat(_examined(form).get("safer", {}), with_empty=True))
            return _form(request, form, **_examined(form))
        case "examine" | "time" as action:
            form = OrderForm(request.POST)
            context = _examined(form, timing=action == "time")
            if request.htmx:
                return render(request, "training/new.html#preflight", context)
            return _form(request, form, **context)
        case _:
            return _ordered(request, OrderForm(request.POST))


@require_POST
def unload(request: HtmxHttpRequest) -> HttpResponse:
    """Frees the memory of the models named, for a job that needs it, and goes on with the order."""
    models = LocalModel.objects.filter(slug__in=request.POST.getlist("unload"))
    try:
        for model in models:
            residency.unload(model=model)
    except EngineError as error:
        messages.error(request, error.message)
        form = OrderForm(request.POST)
        return _form(request, form, **_examined(form))
    return _ordered(request, OrderForm(request.POST))


def _initial(request: HttpRequest) -> dict[str, Any]:
    named = {
        field: request.GET[name] for name, field in _IN_ADDRESS.items() if request.GET.get(name)
    }
    clone = request.GET.get("clone", "")
    if not (clone.isdecimal() and len(clone) < 18):
        return named
    job = TrainingJob.objects.newest_first().filter(pk=int(clone)).first()
    if job is None:
        return named
    name = services.next_name(job.base, job.name) if job.base else job.name
    return initial_of(job) | {"name": name} | named


def _imported(request: HtmxHttpRequest) -> HttpResponse:
    """The form with what its YAML says in its fields."""
    form = OrderForm(request.POST)
    try:
        fields = flat(settings_of(request.POST.get("config", "")))
    except BadOrder as error:
        form.full_clean()
        form.errors.clear()
        form.add_error("config", str(error))
        return _form(request, form)
    form = _with(form, fields)
    return _form(request, form, **_examined(form))


def _with(form: OrderForm, fields: dict[str, Any]) -> OrderForm:
    """The same form with some fields filled in otherwise."""
    written: dict[str, Any] = dict(form.data.items())
    for name, value in fields.items():
        if name not in form.fields:
            continue
        if value is False:
            written.pop(name, None)
        else:
            written[name] = value
    return OrderForm(written)


def _ordered(request: HtmxHttpRequest, form: OrderForm) -> HttpResponse:
    place, sweep = PlaceForm(request.POST), SweepForm(request.POST)
    valid = (form.is_valid(), place.is_valid(), sweep.is_valid())
    if not all(valid) or form.whole is None or form.source is None:
        return _form(request, form)
    try:
        if sweep.grid:
            return redirect(_swept(form, place, sweep))
        job = services.order(
            base=form.base,
            data=Path(form.whole.data),
            name=form.cleaned_data["name"],
            settings=form.whole.model_dump(mode="json", exclude={"model", "data"}),
            dataset=form.source.version,
            place=place.place,
        )
    except BadOrder as error:
        form.add_error("name" if "called" in str(error) else None, str(error))
        return _form(request, form, **_examined(form))
    services.start(job=job)
    return redirect("training:detail", job.pk)


def _swept(form: OrderForm, place: PlaceForm, sweep: SweepForm) -> Sweep:
    """Raises BadOrder."""
    assert form.source is not None
    order = SweepOrder(
        base=form.base,
        source=form.source,
        name=form.cleaned_data["name"],
        settings=nested(form.cleaned_data),
        place=place.place,
    )
    return order_sweep(order=order, grid=sweep.grid)


def _examined(form: OrderForm, *, timing: bool = False) -> dict[str, Any]:
    """What is known of the job that the form asks for; why not, where its fields don't let it.

    ``timing``: whether a step of it is to be timed.
    """
    if list(form.errors) == ["name"]:
        # It is asked for once the job is ordered.
        return _examined(_with(form, {"name": "x"}), timing=timing)
    if form.whole is None:
        # Nobody is told off for what is not given yet.
        problems = [
            f"{form[name].label}: {error}" if name in form.fields else str(error)
            for name, errors in form.errors.items()
            for error in errors
            if name not in form.fields or form[name].data
        ]
        return {"problems": problems, "asked": True}
    try:
        found = examine(form.base, form.whole)
        if timing and not found.refusals:
            order_timing(base=form.base, config=form.whole)
    except BadOrder as error:
        return {"problems": [str(error)], "asked": True}
    time = None if found.seconds is None else duration(found.seconds)
    yaml = write_yaml(form.whole)
    return {
        "preflight": found,
        "version": form.source.version if form.source else None,
        "time": time,
        "yaml": yaml,
        "safer": found.safer,
        "asked": True,
        "timing": newest_timing(form.base, form.whole),
    }


def _form(request: HttpRequest, form: OrderForm, **context: Any) -> HttpResponse:
    given = request.POST or None
    if given and given.get("action") in _LOOKS and form.has_error("name", "required"):
        del form.errors["name"]  # it is asked for once the job is ordered
    # What was not asked for yet shows what is usual.
    forms = {"form": form, "place": PlaceForm(given), "sweep": SweepForm(given)}
    opened = any(each.is_bound and each.errors for each in forms.values())
    status = 422 if opened else 200
    return render(request, "training/new.html", forms | context, status=status)
