"""Stylesheets are written in parts, and collected whole."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.files.storage import FileSystemStorage
from django.core.management import call_command

from apps.system.stylesheets import IMPORT, WholeSheets

STYLES = Path(__file__).parents[3] / "static" / "css"
STORAGE = "apps.system.stylesheets.SheetsStorage"


@pytest.fixture
def sheet(settings: Any, tmp_path: Path) -> Path:
    """A sheet of two parts."""
    folder = tmp_path / "source" / "css"
    (folder / "page").mkdir(parents=True)
    (folder / "page" / "first.css").write_text(".a{color:red}\n")
    (folder / "page" / "second.css").write_text(".a{color:blue}\n")
    sheet = folder / "page.css"
    sheet.write_text(
        '/* Two parts. */\n@import url("page/first.css");\n@import url("page/second.css");\n'
    )
    settings.STATIC_ROOT = tmp_path / "collected"
    settings.STATICFILES_DIRS = [folder.parent]
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    settings.STORAGES = settings.STORAGES | {"staticfiles": {"BACKEND": STORAGE}}
    return sheet


def collected(settings: Any) -> str:
    """The sheet as a page gets it."""
    call_command("collectstatic", interactive=False, verbosity=0, clear=True)
    return Path(settings.STATIC_ROOT, staticfiles_storage.stored_name("css/page.css")).read_text()


@pytest.mark.usefixtures("sheet")
def test_a_collected_sheet_has_its_parts_in_their_order(settings: Any) -> None:
    text = collected(settings)
    assert "@import" not in text
    assert text.index("color:red") < text.index("color:blue")


def test_a_sheets_name_changes_with_a_part_of_it(settings: Any, sheet: Path) -> None:
    collected(settings)
    before = staticfiles_storage.stored_name("css/page.css")
    (sheet.parent / "page" / "second.css").write_text(".a{color:green}\n")
    assert "color:green" in collected(settings)
    assert staticfiles_storage.stored_name("css/page.css") != before


def test_a_part_that_is_missing_is_named(settings: Any, sheet: Path) -> None:
    (sheet.parent / "page" / "second.css").unlink()
    with pytest.raises(FileNotFoundError, match=r"second\.css"):
        collected(settings)


def test_every_import_of_the_hub_is_one_that_is_collected_whole() -> None:
    storage = WholeSheets(FileSystemStorage(location=STYLES))
    sheets = list(STYLES.glob("*.css"))
    assert any(IMPORT.search(sheet.read_text()) for sheet in sheets)
    for sheet in sheets:
        with storage.open(sheet.name) as whole:
            assert b"@import" not in whole.read(), sheet.name


def test_a_part_names_no_other_file_and_belongs_to_one_sheet() -> None:
    named = [part for sheet in STYLES.glob("*.css") for part in IMPORT.findall(sheet.read_text())]
    parts = [part.relative_to(STYLES).as_posix() for part in STYLES.glob("*/*.css")]
    assert sorted(named) == sorted(parts)
    for part in parts:
        assert not re.search(r"url\(", (STYLES / part).read_text()), part
