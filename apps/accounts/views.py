"""Signing in and out, one's own account, the first owner, and taking an invitation."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth import authenticate, login, logout, update_session_auth_hash
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.forms import NewPasswordForm, OwnPasswordForm, SetupForm, SignInForm
from apps.accounts.identity import address_of, identity_of
from apps.accounts.invitations import invited
from apps.accounts.services import NameTaken, change_password, has_owner
from apps.accounts.setup import WrongCode, become_owner, owner_is_missing
from apps.accounts.throttle import TooManyFailures, begin_attempt, forget_old_failures
from apps.audit import recording
from apps.audit.actors import Actor, acting

form_page = require_http_methods(["GET", "HEAD", "POST"])

_SETUP_NAME = "the setup code"
"""Its guesses are counted like those of a password."""


@form_page
@never_cache
@sensitive_post_parameters("password")
def sign_in(request: HttpRequest) -> HttpResponse:
    """A name and a password begin a session of a new key."""
    if owner_is_missing():
        return redirect("accounts:setup")
    form = SignInForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        user = _judged(request, form)
        if user is not None:
            login(request, user)
            actor = Actor("user", user.get_username(), user.pk, address_of(request))
            recording.record("session.begin", user.get_username(), actor=actor)
            return redirect(_next(request))
    context = {"next": _next(request), "no_account": not has_owner()}
    return _door(request, "accounts/sign_in.html", form, context)


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """Ends the session."""
    if request.user.is_authenticated:
        recording.record("session.end", request.user.get_username())
    logout(request)
    return redirect("accounts:sign_in")


@form_page
@never_cache
@sensitive_post_parameters("password", "code")
def setup(request: HttpRequest) -> HttpResponse:
    """The first owner, made by whoever has the code."""
    if not owner_is_missing():
        return redirect("home")
    form = SetupForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        user = _first_owner(request, form)
        if user is not None:
            login(request, user)
            return redirect("home")
    return _door(request, "accounts/setup.html", form, {})


@form_page
@never_cache
@sensitive_post_parameters("password")
def join(request: HttpRequest, number: str, token: str) -> HttpResponse:
    """An invitation's page: its holder sets the account's password."""
    user = invited(number, token)
    if user is None:
        return render(request, "accounts/join.html", {"form": None}, status=404)
    form = NewPasswordForm(request.POST or None, user=user)
    if request.method == "POST" and form.is_valid():
        with acting(Actor("user", user.get_username(), user.pk, address_of(request))):
            change_password(user, form.cleaned_data["password"])
        login(request, user)
        return redirect("home")
    return render(request, "accounts/join.html", {"form": form, "name": user.get_username()})


@form_page
@never_cache
@sensitive_post_parameters("old", "password")
def account(request: HttpRequest) -> HttpResponse:
    """One's own account, and a new password for it."""
    user = request.user if request.user.is_authenticated else None
    form = OwnPasswordForm(request.POST or None, user=user)
    if request.method == "POST" and user is not None and form.is_valid():
        change_password(user, form.cleaned_data["password"])
        update_session_auth_hash(request, user)
        messages.success(request, "Your password is changed. Your other sessions have ended.")
        return redirect("accounts:account")
    context = {"form": form, "person": user, "role": identity_of(request).role}
    return render(request, "accounts/account.html", context)


def _door(
    request: HttpRequest, template: str, form: SignInForm | SetupForm, context: dict[str, Any]
) -> HttpResponse:
    """The form again; a 429 where tries at it have to wait."""
    response = render(request, template, context | {"form": form})
    if form.retry_after is not None:
        response.status_code = 429
        response["Retry-After"] = str(form.retry_after)
    return response


def _judged(request: HttpRequest, form: SignInForm) -> User | None:
    """Who it is; None where name or password is wrong, which the form then says."""
    name, password = form.cleaned_data["name"], form.cleaned_data["password"]
    try:
        attempt = begin_attempt(name, address_of(request))
    except TooManyFailures as error:
        form.wait_for(error)
        return None
    user = authenticate(request, username=name, password=password)
    if not isinstance(user, User):
        # The name may be a password in the wrong field: only a known one is written down.
        known = User.objects.filter(username=name).exists()
        recording.refused("session.begin", name if known else "", why="wrong name or password")
        form.add_error(None, "There is no such name with this password.")
        return None
    attempt.succeeded()
    forget_old_failures()
    return user


def _first_owner(request: HttpRequest, form: SetupForm) -> User | None:
    wanted = form.cleaned_data
    try:
        attempt = begin_attempt(_SETUP_NAME, address_of(request))
        user = become_owner(
            code=wanted["code"],
            name=wanted["name"],
            password=wanted["password"],
            address=address_of(request),
        )
    except WrongCode as error:
        recording.refused("setup.finish", why="wrong code")
        form.add_error("code", str(error))
    except NameTaken as error:
        form.add_error("name", str(error))
    except TooManyFailures as error:
        form.wait_for(error)
    else:
        attempt.succeeded()
        return user
    return None


def _next(request: HttpRequest) -> str:
    """Where the sign-in leads: a page of this hub, whatever the address asks for."""
    wanted = request.POST.get("next") or request.GET.get("next") or "/"
    safe = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts=None, require_https=request.is_secure()
    )
    return wanted if safe else "/"
