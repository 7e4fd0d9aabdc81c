"""`mlx-hub keys`."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner, Result

from apps.inference.keys.models import ApiKey
from apps.inference.keys.services import create_key, recognise
from apps.models.models import LocalModel
from mlxhub_site.cli import app

pytestmark = pytest.mark.django_db(transaction=True)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ("keys", *arguments))


def test_a_key_is_printed_once_alone_on_standard_output(tiny: LocalModel) -> None:
    result = run(
        *("create", "ada", "--management", "--model", "tiny"),
        *("--requests-per-minute", "10", "--tokens-per-minute", "2000", "--concurrency", "2"),
        *("--expires-days", "7", "--note", "Her laptop"),
    )
    assert result.exit_code == 0, result.output
    key = recognise(result.stdout.strip())
    assert key.scopes == ["inference", "management"]
    assert key.models_in_words == "tiny"
    assert key.limits_in_words == ["10 requests/min", "2,000 tokens/min", "2 at once"]
    assert key.expires_at is not None
    assert "can't be shown again" in result.stderr


def test_groups_of_endpoints_have_limits_of_their_own() -> None:
    result = run(
        *("create", "ada", "--requests-per-minute-of", "embeddings=600"),
        *("--requests-per-minute-of", "management=5", "--tokens-per-minute-of", "embeddings=90"),
    )
    assert result.exit_code == 0, result.output
    assert recognise(result.stdout.strip()).limits_in_words == [
        "embeddings: 600 requests/min",
        "embeddings: 90 tokens/min",
        "management: 5 requests/min",
    ]


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--requests-per-minute-of", "chat=5"), "is not ENDPOINTS=N"),
        (("--requests-per-minute-of", "rerank"), "is not ENDPOINTS=N"),
        (("--requests-per-minute-of", "rerank=0"), "a whole number from 1 on"),
        (("--tokens-per-minute-of", "management=5"), "Limits of management"),
    ],
)
def test_a_limit_of_no_endpoints_is_refused(option: tuple[str, ...], said: str) -> None:
    result = run("create", "ada", *option)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.replace("│", " ").split())
    assert not ApiKey.objects.exists()


def test_a_key_is_json_for_programs_with_its_secret_in_it() -> None:
    made = json.loads(run("create", "ada", "--concurrency", "2", "--json").stdout)
    assert recognise(made.pop("key")).name == "ada"
    assert made["limits"] == ["2 at once"]
    assert json.loads(run("list", "--json").stdout) == [made]


def test_the_list_shows_each_key_but_not_its_secret() -> None:
    text = run("create", "ada").stdout.strip()
    listed = run("list").stdout
    assert "ada" in listed
    assert "active" in listed
    assert "all models; no limit; never used" in listed
    assert text not in listed


def test_a_name_steers_no_terminal() -> None:
    """A member names keys; whoever lists them sits at the hub's own machine."""
    create_key(name="ada\x1b]0;owned\x07\x1b[2J", note="x")
    listed = run("list").stdout
    assert "ada]0;owned[2J" in listed
    assert listed.rstrip("\n").isprintable()


def test_an_empty_list_says_how_to_make_a_key() -> None:
    assert "mlx-hub keys create" in run("list").stdout


def test_a_revoked_key_is_listed_as_such() -> None:
    run("create", "ada")
    assert run("revoke", "ada").stdout == "ada is revoked.\n"
    assert ApiKey.objects.get().state == "revoked"
    assert "revoked" in run("list").stdout


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("create", "ada"), 5, "There is a key 'ada' already."),
        (("create", "grace", "--model", "nonsense"), 3, "The model 'nonsense' is not on this hub."),
        (("revoke", "grace"), 3, "There is no key 'grace'."),
    ],
)
def test_a_mistake_is_one_line_on_standard_error(
    arguments: tuple[str, ...], status: int, said: str
) -> None:
    run("create", "ada")
    result = run(*arguments)
    assert result.exit_code == status
    assert result.stderr.startswith(f"Error: {said}")
