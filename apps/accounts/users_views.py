"""The Users page: who may come in and do what. The owner's alone."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from apps.accounts import services
from apps.accounts.forms import InviteForm, RoleForm
from apps.accounts.headers import calls_this_machine_itself
from apps.accounts.invitations import invitation_path
from apps.accounts.listing import listed
from apps.accounts.roles import Role
from apps.accounts.services import AccountProblem, NameTaken


@require_safe
def users(request: HttpRequest) -> HttpResponse:
    """The accounts, and the form that invites somebody."""
    return _page(request, InviteForm())


@require_POST
@never_cache
def invite(request: HttpRequest) -> HttpResponse:
    """Makes an account. The answer alone shows its link, so it is no redirect."""
    form = InviteForm(request.POST)
    if form.is_valid():
        try:
            user = services.create_account(
                name=form.cleaned_data["name"], role=form.cleaned_data["role"]
            )
        except NameTaken as error:
            form.add_error("name", str(error))
        else:
            return _page(request, InviteForm(), invited=user)
    return _page(request, form)


@require_POST
def change_role(request: HttpRequest, key: int) -> HttpResponse:
    """Gives an account another role."""
    user = get_object_or_404(User, pk=key)
    form = RoleForm(request.POST)
    if not form.is_valid():
        messages.error(request, "There is no such role. Choose one of the list.")
        return redirect("accounts:users")
    try:
        services.set_role(user, form.cleaned_data["role"])
    except AccountProblem as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"{user.get_username()} is {form.cleaned_data['role'].label}.")
    return redirect("accounts:users")


@require_POST
def switch(request: HttpRequest, key: int) -> HttpResponse:
    """Switches an account off, or on again."""
    user = get_object_or_404(User, pk=key)
    try:
        services.set_active(user, active=request.POST.get("active") == "true")
    except AccountProblem as error:
        messages.error(request, str(error))
    else:
        state = "on" if user.is_active else "off"
        messages.success(request, f"The account {user.get_username()} is {state}.")
    return redirect("accounts:users")


@require_POST
@never_cache
def reset(request: HttpRequest, key: int) -> HttpResponse:
    """Ends the account's password and shows a link for a new one, once."""
    user = get_object_or_404(User, pk=key, is_active=True)
    services.reset_password(user)
    return _page(request, InviteForm(), invited=user)


def _page(request: HttpRequest, form: InviteForm, *, invited: User | None = None) -> HttpResponse:
    context = {
        "form": form,
        "people": listed(request.user),
        "roles": list(reversed(Role)),
        "invited": invited,
        "link": request.build_absolute_uri(invitation_path(invited)) if invited else "",
        "leads_here_only": calls_this_machine_itself(request),
    }
    return render(request, "accounts/users.html", context)
