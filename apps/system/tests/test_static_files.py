"""Static files are collected when they changed and only then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from apps.system.static_files import collect_static


@pytest.fixture
def style(settings: Any, tmp_path: Path) -> Path:
    """The only static file there is."""
    source = tmp_path / "source"
    source.mkdir()
    style = source / "style.css"
    style.write_text("a{}")
    settings.STATIC_ROOT = tmp_path / "collected"
    settings.STATICFILES_DIRS = [source]
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    return style


@pytest.mark.usefixtures("style")
def test_the_second_start_collects_nothing(settings: Any) -> None:
    assert collect_static()
    assert (settings.STATIC_ROOT / "style.css").read_text() == "a{}"
    assert not collect_static()


def test_a_changed_file_is_collected(settings: Any, style: Path) -> None:
    collect_static()
    style.write_text("a{color:red}")
    assert collect_static()
    assert (settings.STATIC_ROOT / "style.css").read_text() == "a{color:red}"


def test_a_new_file_is_collected(settings: Any, style: Path) -> None:
    collect_static()
    style.with_name("more.css").write_text("b{}")
    assert collect_static()
    assert (settings.STATIC_ROOT / "more.css").exists()
