from __future__ import annotations

import json
from pathlib import Path

import pytest

from apps.models.runtime.generation_config import recommended_sampling


@pytest.mark.parametrize(
    ("config", "sampling"),
    [
        ({"temperature": 0.6, "top_p": 0.95, "top_k": 20, "eos_token_id": 2},
         {"temperature": 0.6, "top_p": 0.95, "top_k": 20}),
        ({"do_sample": False, "temperature": 0.6}, {"temperature": 0.0}),
        ({"do_sample": True, "min_p": 0.1}, {"min_p": 0.1}),
        ({"temperature": 99, "top_p": 0, "top_k": "many", "min_p": True}, {}),
        ({"repetition_penalty": None}, {}),
    ],
)  # fmt: skip
def test_what_the_api_takes_is_recommended(
    tmp_path: Path, config: dict[str, object], sampling: dict[str, float]
) -> None:
    (tmp_path / "generation_config.json").write_text(json.dumps(config))

    assert recommended_sampling(tmp_path) == sampling


@pytest.mark.parametrize("text", ["", "[]", "{", '{"temperature": NaN}', "\x00"])
def test_a_damaged_file_recommends_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "generation_config.json").write_text(text)

    assert recommended_sampling(tmp_path) == {}


def test_no_file_recommends_nothing(tmp_path: Path) -> None:
    assert recommended_sampling(tmp_path) == {}
