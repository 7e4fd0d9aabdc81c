"""`mlx-hub set`: how a model is served, and what calls get that leave something out."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from mlxhub_site.commands.hub.options import for_any_hub, hub
from mlxhub_site.commands.outcome import BadUsage
from mlxhub_site.commands.output import AsJson, harmless, print_json
from mlxhub_site.commands.registry import Name, model_path

TEXTS = ("alias", "draft", "system_prompt")
"""Settings that are taken as they are typed; the others are numbers, true or false."""


@for_any_hub
def set_model(
    name: Name,
    settings: Annotated[
        list[str],
        typer.Argument(
            metavar="SETTING=VALUE...",
            help="alias, pinned, ttl_minutes, draft, temperature, top_p, top_k, min_p, "
            "repetition_penalty, max_tokens, context_limit, system_prompt. Without a value: none.",
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Set how a model is served, such as `mlx-hub set MODEL alias=fast temperature=0.2 pinned=true`."""
    chosen = dict(map(_setting, settings))
    with hub() as client:
        detail = client.patch(model_path(client, name), chosen)
    if as_json:
        print_json(detail)
        return
    values = detail | detail["defaults"]
    for each in chosen:
        typer.echo(harmless(f"{detail['slug']}: {each} is {_written(values[each])}."))


def _setting(given: str) -> tuple[str, Any]:
    """Name and value as the API takes them. Raises BadUsage."""
    name, equals, value = given.partition("=")
    if not (name and equals):
        raise BadUsage(f"{given!r}: write it as SETTING=VALUE, such as temperature=0.2.")
    if name in TEXTS:
        return name, value
    try:
        return name, json.loads(value) if value else None
    except ValueError as error:
        raise BadUsage(f"{given!r}: {value!r} is no number, true or false.") from error


def _written(value: Any) -> str:
    if value is None or value == "":
        return "not set"
    return json.dumps(value) if isinstance(value, bool) else str(value)
