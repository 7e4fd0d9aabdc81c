"""`mlx-hub keys …`: make, list and revoke API keys.

Django is set up by the time a command runs, and not before.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer
from django.core.exceptions import ValidationError
from django.utils import timezone

from mlxhub_site.commands.hub.options import here_only
from mlxhub_site.commands.outcome import NotFound, Refused
from mlxhub_site.commands.output import AsJson, harmless, print_json

if TYPE_CHECKING:
    from apps.inference.keys.endpoints import Endpoints, Rates
    from apps.inference.keys.models import ApiKey
    from apps.models.models import LocalModel

commands = typer.Typer(no_args_is_help=True, help="Make, list and revoke API keys.")

here = here_only("whoever has a key must not be able to make others with it.")

KeyName = Annotated[str, typer.Argument(help="What the key is called here.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Default: no limit.")]
OfEndpoints = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ENDPOINTS=N",
        help="For generation, embeddings, rerank, other or management by itself; repeat it.",
    ),
]


@commands.command()
@here
def create(
    name: KeyName,
    inference: Annotated[bool, typer.Option(help="For /v1.")] = True,
    management: Annotated[bool, typer.Option(help="For /api and /admin.")] = False,
    model: Annotated[
        list[str] | None, typer.Option(help="A model it may use; repeat it. Default: all.")
    ] = None,
    requests_per_minute: Limit = None,
    tokens_per_minute: Limit = None,
    requests_per_minute_of: OfEndpoints = None,
    tokens_per_minute_of: OfEndpoints = None,
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="Requests at once. Default: no limit.")
    ] = None,
    expires_days: Annotated[
        int | None, typer.Option(min=1, max=36500, help="Default: it does not expire.")
    ] = None,
    note: Annotated[str, typer.Option(help="Whose it is, or what for.")] = "",
    as_json: AsJson = False,
) -> None:
    """Make a key and print it. It is not stored and can't be shown again."""
    from apps.inference.keys.models import ApiKey
    from apps.inference.keys.services import Limits, create_key

    if ApiKey.objects.filter(name=name).exists():
        raise Refused(f"There is a key {name!r} already. Choose another name.")
    endpoints = _endpoint_rates(requests_per_minute_of, tokens_per_minute_of)
    expires_at = None if expires_days is None else timezone.now() + timedelta(days=expires_days)
    key, text = create_key(
        name=name,
        may_infer=inference,
        may_manage=management,
        models=[_model(each) for each in model or ()],
        limits=Limits(requests_per_minute, tokens_per_minute, concurrency, endpoints),
        expires_at=expires_at,
        note=note,
    )
    if as_json:
        print_json(_described(key) | {"key": text})
    else:
        typer.echo(text)
    typer.echo("Keep it now: it can't be shown again.", err=True)


@commands.command("list")
@here
def list_keys(as_json: AsJson = False) -> None:
    """List the keys with what they may do. The keys themselves are not stored."""
    from apps.inference.keys.models import ApiKey

    keys = list(ApiKey.objects.prefetch_related("allowed_models"))
    if as_json:
        print_json([_described(key) for key in keys])
        return
    for key in keys:
        typer.echo(harmless(_line(key)))
    if not keys:
        typer.echo("There is no key yet. `mlx-hub keys create NAME` makes one.")


@commands.command()
@here
def revoke(name: KeyName) -> None:
    """Let nobody in with this key any more, from the next call on."""
    from apps.inference.keys.models import ApiKey
    from apps.inference.keys.services import revoke_key

    key = ApiKey.objects.filter(name=name).first()
    if key is None:
        raise NotFound(f"There is no key {name!r}. `mlx-hub keys list` shows those there are.")
    revoke_key(key)
    typer.echo(f"{name} is revoked.")


def _model(name: str) -> LocalModel:
    from apps.inference.services import ModelNotFound, resolve_model

    try:
        return resolve_model(name).model
    except ModelNotFound as error:
        raise NotFound(str(error)) from error


def _endpoint_rates(requests: list[str] | None, tokens: list[str] | None) -> dict[Endpoints, Rates]:
    """What ``ENDPOINTS=N`` said of both. Raises typer.BadParameter."""
    from apps.inference.keys.endpoints import Rates, check_stored, stored

    most_requests, most_tokens = _numbers(requests), _numbers(tokens)
    rates = {
        group: Rates(most_requests.get(group), most_tokens.get(group))
        for group in most_requests | most_tokens
    }
    try:
        check_stored(stored(rates))
    except ValidationError as error:
        raise typer.BadParameter(" ".join(error.messages)) from error
    return rates


def _numbers(given: list[str] | None) -> dict[Endpoints, int]:
    from apps.inference.keys.endpoints import Endpoints

    numbers = {}
    for each in given or ():
        group, _, number = each.partition("=")
        if group not in Endpoints.values or not number.isdecimal():
            raise typer.BadParameter(
                f"{each!r} is not ENDPOINTS=N. ENDPOINTS is one of {', '.join(Endpoints.values)}."
            )
        numbers[Endpoints(group)] = int(number)
    return numbers


def _line(key: ApiKey) -> str:
    scopes = ", ".join(key.scopes) or "no scope"
    limits = ", ".join(key.limits_in_words) or "no limit"
    used = "never used" if key.last_used_at is None else f"used {key.last_used_at:%Y-%m-%d %H:%M}"
    return (
        f"{key.name:<20} {key.shown:<18} {key.state:<8} {scopes}; {key.models_in_words}; "
        f"{limits}; {used}"
    )


def _described(key: ApiKey) -> dict[str, Any]:
    return {
        "name": key.name,
        "shown": key.shown,
        "state": key.state,
        "scopes": key.scopes,
        "models": key.models_in_words,
        "limits": key.limits_in_words,
        "expires_at": None if key.expires_at is None else key.expires_at.isoformat(),
        "last_used_at": None if key.last_used_at is None else key.last_used_at.isoformat(),
    }
