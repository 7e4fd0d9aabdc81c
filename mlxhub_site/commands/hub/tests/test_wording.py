"""Routes become commands in what a terminal is told."""

from __future__ import annotations

import pytest

from mlxhub_site.commands.hub.wording import in_commands


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("No job 9. GET /api/training/jobs lists them.", "No job 9. `mlx-hub jobs` lists them."),
        ("GET /api/models/jobs lists them.", "`mlx-hub jobs --all` lists them."),
        ("GET /api/models/qwen2.5-0.5b lists it.", "`mlx-hub show qwen2.5-0.5b` lists it."),
        ("It is full. GET /api/disk.", "It is full. `mlx-hub disk`."),
        ("GET /api/unheard/of lists it.", "GET /api/unheard/of lists it."),
        ("Send the text to /v1/embeddings.", "Send the text to /v1/embeddings."),
    ],
)
def test_a_route_is_named_by_the_command_that_shows_the_same(said: str, told: str) -> None:
    assert in_commands(said) == told
