from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.models.runtime.card import Card, read_card


@pytest.mark.parametrize(
    ("front", "card"),
    [
        ("license: apache-2.0", Card(license="apache-2.0")),
        ('license: "mit"\nbase_model: acme/Base-7B', Card("mit", "acme/Base-7B")),
        ("base_model:\n- acme/Base-7B\n- other/one", Card("", "acme/Base-7B")),
        ("base_model: [acme/Base-7B]", Card("", "acme/Base-7B")),
        ("base_model: no repository", Card()),
        ("base_model: ../../etc/passwd", Card()),
        ("text: |\n  license: mit", Card()),
    ],
)
def test_a_card_tells_licence_and_base(tmp_path: Path, front: str, card: Card) -> None:
    (tmp_path / "README.md").write_text(f"---\n{front}\n---\n\n# Hello\nlicense: gpl")

    assert read_card(tmp_path / "README.md") == card


def test_no_card_tells_nothing(tmp_path: Path) -> None:
    assert read_card(tmp_path / "README.md") == Card()
    (tmp_path / "README.md").write_text("# license: mit")
    assert read_card(tmp_path / "README.md") == Card()


@given(st.text())
def test_any_text_is_read(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file = tmp_path_factory.mktemp("card") / "README.md"
    file.write_text(
        f"---\nlicense: {text}\nbase_model: {text}\n---\n", encoding="utf-8", errors="replace"
    )

    card = read_card(file)

    assert len(card.license) <= 80
    assert ".." not in card.base_repo_id.split("/")
