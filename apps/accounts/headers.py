"""Headers that every answer carries, and cookies that stay on an encrypted connection."""

from __future__ import annotations

from django.http import HttpRequest
from django.http.request import split_domain_port
from django.http.response import HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

PERMISSIONS = ", ".join(
    f"{feature}=()"
    for feature in (
        "accelerometer",
        "autoplay",
        "camera",
        "display-capture",
        "encrypted-media",
        "geolocation",
        "gyroscope",
        "magnetometer",
        "microphone",
        "midi",
        "payment",
        "usb",
        "xr-spatial-tracking",
    )
)
"""What no page of the hub uses; https://www.w3.org/TR/permissions-policy/"""

HSTS = "max-age=31536000"

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


def calls_this_machine_itself(request: HttpRequest) -> bool:
    """Whether the hub was called by a name that means each machine itself."""
    return split_domain_port(request.get_host())[0] in _LOOPBACK_NAMES


class SecurityHeadersMiddleware(MiddlewareMixin):
    """Beside what Django's SecurityMiddleware and django-csp send."""

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        # Another site can't show, frame or load anything of the hub's.
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        response.headers.setdefault("Permissions-Policy", PERMISSIONS)
        if request.is_secure():
            for cookie in response.cookies.values():
                cookie["secure"] = True
            # For localhost it would hold for every program on every port of this machine.
            if not calls_this_machine_itself(request):
                response.headers.setdefault("Strict-Transport-Security", HSTS)
        return response
