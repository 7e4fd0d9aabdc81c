"""`mlx-hub data …`: columns to roles, and rows that are removed or masked in bulk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from django.core.management import CommandError

from mlxhub_site.commands.data_jobs import carry_out, change, refusals, version_of

if TYPE_CHECKING:
    from enum import IntFlag

    from apps.datasets.formats.conditions import Condition

Name = Annotated[str, typer.Argument(metavar="DATASET", help="As `mlx-hub data list` has it.")]
Where = Annotated[
    list[str] | None,
    typer.Option(help='A condition, such as "score >= 4" or "meta.lang = de"; repeat it.'),
]


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
) -> None:
    """Make rows of the imported columns; of the records that meet every --where."""
    from apps.datasets import services
    from apps.datasets.formats.mapping import ROLES, Mapping, Target
    from apps.datasets.models import DatasetVersion

    if to not in set(Target):
        raise CommandError(f"Rows are no {to!r}. They are {', '.join(Target)}.")
    target = Target(to)
    given = dict(_role(each, ROLES[target]) for each in roles)
    mapping = Mapping(target, given, tuple(keep or ()), tuple(_conditions(where)))
    dataset = version_of(name, None).dataset
    columns = dataset.versions.filter(kind=DatasetVersion.Kind.UNMAPPED).first()
    if columns is None:
        raise CommandError(f"{name} was not imported as columns, so there is nothing to map.")
    with refusals():
        plan = {"mapping": mapping.as_json()}
        job = services.order(version=columns, kind="map", plan=plan, run_here=True)
    carry_out(job)
    if (made := job.result) is not None:
        typer.echo(f"{name}, version {made.number}: {made.rows:,} rows. {made.change}.")


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
) -> None:
    """Remove the rows that have a problem, personal data, a language, or meet every --where."""
    from apps.datasets.formats.checks import Problem
    from apps.datasets.formats.personal import Personal

    plan = {
        "problems": _bits(Problem, problem or [], "problem"),
        "personal": _bits(Personal, personal or [], "kind of personal data"),
        "languages": language or [],
        "where": [condition.as_json() for condition in _conditions(where)],
    }
    if not any(plan.values()):
        raise CommandError("Say which rows: --problem, --personal, --language or --where.")
    change(name, "drop", plan)


def mask(
    name: Name,
    personal: Annotated[
        list[str] | None,
        typer.Option(help="email, phone, card or key; repeat it. Default: all of them."),
    ] = None,
) -> None:
    """Put the kind in place of personal data, as [EMAIL]."""
    from apps.datasets.formats.personal import EVERY, Personal

    bits = _bits(Personal, personal or [], "kind of personal data")
    change(name, "mask", {"personal": bits or int(EVERY)})


def languages(name: Name) -> None:
    """Tell which languages the answers are in."""
    from apps.datasets import services
    from apps.datasets.language_names import language_name

    version = version_of(name, None)
    with refusals():
        job = services.order(version=version, kind="languages", plan={}, run_here=True)
    carry_out(job)
    for code, count in job.figures["languages"].items():
        typer.echo(f"{code:>4}  {count:>10,}  {language_name(code)}")


def _role(text: str, known: tuple[str, ...]) -> tuple[str, str]:
    role, equals, template = text.partition("=")
    if not equals or role not in known:
        raise CommandError(f"{text!r} is no ROLE=TEMPLATE. The roles are {', '.join(known)}.")
    return role, template


def _conditions(texts: list[str] | None) -> list[Condition]:
    from apps.datasets.formats.conditions import Condition

    with refusals():
        return [Condition.of_text(text) for text in texts or ()]


def _bits(kinds: type[IntFlag], names: list[str], what: str) -> int:
    """The bits of these names. Raises CommandError."""
    wanted = [each.upper().replace("-", "_").replace(" ", "_") for each in names]
    if unknown := [each for each in wanted if each not in kinds.__members__]:
        known = ", ".join(name.lower() for name in kinds.__members__)
        raise CommandError(f"There is no {what} {unknown[0].lower()!r}. There are: {known}.")
    values: dict[str, Any] = dict(kinds.__members__)
    return sum(int(values[each]) for each in set(wanted))
