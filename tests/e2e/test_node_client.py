"""The official openai package for Node against the running hub."""

from __future__ import annotations

import pytest

from tests.hub_process import STARTER, HubProcess
from tests.node import run_node_tests


@pytest.mark.parametrize(
    "name", ["chat", "structure", "tools", "embeddings", "responses", "errors"]
)
def test_its_ordinary_examples_work(hub: HubProcess, minilm: str, name: str) -> None:
    run_node_tests(name, url=hub.url, model=STARTER, embedder=minilm)
