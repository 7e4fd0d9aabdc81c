"""`mlx-hub set`."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner, Result

from apps.models.models import LocalModel
from mlxhub_site.cli import app

pytestmark = pytest.mark.django_db(transaction=True)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_what_is_set_is_told_and_the_rest_stays(tiny: LocalModel) -> None:
    result = run("set", "tiny", "alias=fast", "pinned=true", "temperature=0.2", "top_k=40")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "tiny: alias is fast.",
        "tiny: pinned is true.",
        "tiny: temperature is 0.2.",
        "tiny: top_k is 40.",
    ]
    again = run("set", "fast", "temperature=", "alias=", "system_prompt=Be brief. No = signs.")
    assert again.stdout.splitlines()[:2] == [
        "tiny: temperature is not set.",
        "tiny: alias is not set.",
    ]
    tiny.refresh_from_db()
    assert (tiny.alias, tiny.pinned, tiny.temperature, tiny.top_k) == (None, True, None, 40)
    assert tiny.system_prompt == "Be brief. No = signs."
    assert json.loads(run("set", "tiny", "top_k=", "--json").stdout)["defaults"]["top_k"] is None


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("temperature", "write it as SETTING=VALUE"),
        ("=1", "write it as SETTING=VALUE"),
        ("temperature=hot", "'hot' is no number, true or false"),
        ("temperature=NaN", "are no values for a hub"),
        ("temperature=9", "temperature"),
        ("pinned=", "pinned"),
        ("wings=2", "wings"),
        ("digest=1", "digest"),
        ("draft=gone", "'gone' is not on this hub"),
    ],
)
def test_what_can_not_be_set_is_one_line(tiny: LocalModel, setting: str, told: str) -> None:
    refused = run("set", "tiny", "top_k=3", setting)
    assert refused.exit_code in (2, 3), refused.output
    assert told in refused.stderr
    assert refused.stderr.count("\n") == 1
    tiny.refresh_from_db()
    assert tiny.top_k is None
