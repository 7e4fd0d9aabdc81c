"""The README stays true."""

from __future__ import annotations

import re
from pathlib import Path

from apps.inference.api.schemas.chat_request import ChatCompletionRequest
from mlxhub_site.cli import app
from mlxhub_site.commands.hub.options import KEY_VARIABLE, URL_VARIABLE
from mlxhub_site.hub_settings import HubSettings

README = (Path(__file__).parents[2] / "README.md").read_text()


def test_every_setting_is_in_the_configuration_table_and_nothing_else_is() -> None:
    documented = re.findall(r"^\| `(MLXHUB_\w+)` \|", README, flags=re.MULTILINE)
    assert documented == [f"MLXHUB_{name.upper()}" for name in HubSettings.model_fields]
    assert set(re.findall(r"MLXHUB_\w+", README)) == {*documented, URL_VARIABLE, KEY_VARIABLE}


def test_the_documented_defaults_are_the_real_ones() -> None:
    rows = re.findall(r"^\| `MLXHUB_(\w+)` \| `([^`]+)` \|", README, flags=re.MULTILINE)
    assert len(rows) > 20
    for name, documented in rows:
        assert documented == _written(HubSettings.model_fields[name.lower()].default)


def _written(default: object) -> str:
    """A default as the environment variable would have it."""
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    return str(default).lower() if isinstance(default, bool) else str(default)


def test_every_link_to_a_file_leads_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    missing = [link for link in links if not (Path(__file__).parents[2] / link).exists()]
    assert missing == []


def test_every_extension_of_the_chat_request_is_documented_and_nothing_else_is() -> None:
    table = re.search(r"\| Field \| Meaning \|\n(.*?)\n\n", README, flags=re.DOTALL)
    assert table is not None
    names = [row.split("|")[1] for row in table[1].splitlines()[1:]]
    documented = {name for cell in names for name in re.findall(r"`(\w+)`", cell)}
    fields = ChatCompletionRequest.model_fields.items()
    assert documented == {name for name, field in fields if "Extension." in f"{field.description}"}


def test_every_command_is_in_the_table_of_commands_and_nothing_else_is() -> None:
    table = re.search(r"\| Command \| What it does \|\n(.*?)\n\n", README, flags=re.DOTALL)
    assert table is not None
    cells = [row.split(" | ")[0] for row in table[1].splitlines()[1:]]
    documented = {name for cell in cells for name in re.findall(r"`([a-z][\w-]*)", cell)}
    commands = {command.name for command in app.registered_commands if not command.hidden}
    assert documented == commands | {group.name for group in app.registered_groups}
