"""`mlx-hub data …`: columns to roles, and rows that are removed, masked or looked at in bulk."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from mlxhub_site.commands.data_jobs import Name, address, change, examined, misuse
from mlxhub_site.commands.hub.options import for_any_hub, hub
from mlxhub_site.commands.outcome import BadUsage
from mlxhub_site.commands.output import AsJson, print_json

if TYPE_CHECKING:
    from enum import IntFlag

Where = Annotated[
    list[str] | None,
    typer.Option(help='A condition, such as "score >= 4" or "meta.lang = de"; repeat it.'),
]


@for_any_hub
def map_columns(
    name: Name,
    to: Annotated[str, typer.Option(help="chat, completion, text or preference.")],
    roles: Annotated[
        list[str],
        typer.Option("--map", help="ROLE=TEMPLATE, such as user={question}; repeat it."),
    ],
    keep: Annotated[
        list[str] | None, typer.Option(help="A column that stays beside the row; repeat it.")
    ] = None,
    where: Where = None,
    as_json: AsJson = False,
) -> None:
    """Make rows of the imported columns; of the records that meet every --where."""
    from apps.datasets.formats.mapping import ROLES, Target

    if to not in set(Target):
        raise BadUsage(f"Rows are no {to!r}. They are {', '.join(Target)}.")
    order = {
        "kind": "map",
        "target": to,
        "roles": dict(_role(each, ROLES[Target(to)]) for each in roles),
        "keep": keep or [],
        "where": _conditions(where),
    }
    with hub() as client:
        versions = client.get(address(name))["versions"]
        columns = next((each for each in versions if each["kind"] == "unmapped"), None)
        if columns is None:
            raise BadUsage(f"{name} was not imported as columns, so there is nothing to map.")
        change(client, name, order, as_json=as_json, version=columns["number"])


@for_any_hub
def drop(
    name: Name,
    problem: Annotated[
        list[str] | None, typer.Option(help="A problem, such as duplicate or empty; repeat it.")
    ] = None,
    personal: Annotated[
        list[str] | None, typer.Option(help="Personal data: email, phone, card or key; repeat it.")
    ] = None,
    language: Annotated[
        list[str] | None,
        typer.Option(help="A language's code, as `mlx-hub data languages` tells; repeat it."),
    ] = None,
    where: Where = None,
    as_json: AsJson = False,
) -> None:
    """Remove the rows that have a problem, personal data, a language, or meet every --where."""
    from apps.datasets.formats.checks import Problem
    from apps.datasets.formats.personal import Personal

    chosen = {
        "problems": _names(Problem, problem or [], "problem"),
        "personal": _names(Personal, personal or [], "kind of personal data"),
        "languages": language or [],
        "where": _conditions(where),
    }
    if not any(chosen.values()):
        raise BadUsage("Say which rows: --problem, --personal, --language or --where.")
    with hub() as client:
        change(client, name, {"kind": "drop"} | chosen, as_json=as_json)


@for_any_hub
def mask(
    name: Name,
    personal: Annotated[
        list[str] | None,
        typer.Option(help="email, phone, card or key; repeat it. Default: all of them."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Put the kind in place of personal data, as [EMAIL]."""
    from apps.datasets.formats.personal import Personal

    kinds = _names(Personal, personal or list(Personal.__members__), "kind of personal data")
    with hub() as client:
        change(client, name, {"kind": "mask", "personal": kinds}, as_json=as_json)


@for_any_hub
def languages(name: Name, as_json: AsJson = False) -> None:
    """Tell which languages the answers are in."""
    from apps.datasets.language_names import language_name

    with hub() as client:
        job = examined(client, name, {"kind": "languages"})
    if as_json:
        print_json(job["figures"]["languages"])
        return
    for code, count in job["figures"]["languages"].items():
        typer.echo(f"{code:>4}  {count:>10,}  {language_name(code)}")


def _role(text: str, known: tuple[str, ...]) -> tuple[str, str]:
    role, equals, template = text.partition("=")
    if not equals or role not in known:
        raise BadUsage(f"{text!r} is no ROLE=TEMPLATE. The roles are {', '.join(known)}.")
    return role, template


def _conditions(texts: list[str] | None) -> list[dict[str, str]]:
    """Conditions as the API takes them. Raises BadUsage."""
    from apps.datasets.formats.conditions import Condition
    from apps.datasets.formats.errors import FormatError

    with misuse(FormatError):
        return [asdict(Condition.of_text(text)) for text in texts or ()]


def _names(kinds: type[IntFlag], given: list[str], what: str) -> list[str]:
    """These names as the API has them. Raises BadUsage."""
    wanted = [each.upper().replace("-", "_").replace(" ", "_") for each in given]
    if unknown := [each for each in wanted if each not in kinds.__members__]:
        known = ", ".join(name.lower() for name in kinds.__members__)
        raise BadUsage(f"There is no {what} {unknown[0].lower()!r}. There are: {known}.")
    return wanted
