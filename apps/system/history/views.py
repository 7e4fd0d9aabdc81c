"""What the charts of the System page draw."""

from __future__ import annotations

import time

from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apps.system.history.figures import charts, plotted
from apps.system.history.grains import range_of
from apps.system.history.reading import courses


@require_safe
@never_cache
def data(request: HttpRequest) -> JsonResponse:
    """Every chart over ``range``, up to now."""
    shown, now = range_of(request.GET.get("range", "")), time.time()
    return JsonResponse(plotted(shown, charts(courses(shown, now=now)), now=now))
