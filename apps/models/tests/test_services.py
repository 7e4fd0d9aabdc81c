from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from apps.models import deleting, services, starter
from apps.models.errors import InvalidName, ModelInUse, NameTaken
from apps.models.models import Adapter, LocalModel
from apps.models.runtime.errors import ModelFormatError
from apps.models.runtime.gguf.importer import import_gguf

pytestmark = pytest.mark.django_db

ROOT = Path(__file__).parents[3]
STARTER = starter.STARTER_SLUG


def visible(folder: Path) -> set[str]:
    """What lies in a folder beside lock files."""
    return {path.name for path in folder.iterdir() if path.suffix != ".lock"}


@pytest.fixture
def tiny_starter(gguf: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny model in the place of the starter model."""
    monkeypatch.setattr(starter, "find_starter", lambda: gguf)
    return gguf


def imported(gguf: Path, slug: str = "tiny") -> LocalModel:
    return services.import_gguf_model(source=gguf, slug=slug, name="Tiny")


def test_an_import_does_not_bring_mlx_into_its_process(models_dir: Path, gguf: Path) -> None:
    code = f"""
import sys
from pathlib import Path
import django
django.setup()
from apps.models import admin, services
from apps.models.runtime.gguf.importer import import_gguf
import_gguf(Path({str(gguf)!r}), Path({str(gguf.with_name("model"))!r}))
print(sorted(name for name in sys.modules if name.split(".")[0] in ("mlx", "mlx_lm")))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"


def test_an_import_makes_a_folder_and_a_row_that_describes_it(models_dir: Path, gguf: Path) -> None:
    model = imported(gguf)

    model.refresh_from_db()
    assert Path(model.path) == models_dir / "tiny"
    assert (models_dir / "tiny" / "model.safetensors").is_file()
    assert model.source == LocalModel.Source.GGUF
    assert model.digest.startswith("sha256:")
    assert model.architecture == "llama"
    assert model.quantization == "mixed 4/8-bit"
    assert model.context_length == 512
    assert model.license == "apache-2.0"
    assert visible(models_dir) == {"tiny"}


def test_a_failed_import_leaves_neither_folder_nor_row(models_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"GGUF")

    with pytest.raises(ModelFormatError):
        imported(tmp_path / "bad.gguf")

    assert visible(models_dir) == set()
    assert not LocalModel.objects.exists()


def test_an_import_that_can_not_be_registered_leaves_no_folder(
    models_dir: Path, gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(services, "digest_files", interrupted)

    with pytest.raises(KeyboardInterrupt):
        imported(gguf)

    assert visible(models_dir) == set()


def test_an_import_whose_folder_can_not_be_moved_leaves_no_row(
    models_dir: Path, gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def refused(path: Path, target: Path) -> Path:
        if target == models_dir / "tiny":
            raise PermissionError
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refused)

    with pytest.raises(PermissionError):
        imported(gguf)

    assert not LocalModel.objects.exists()
    assert visible(models_dir) == set()


def test_an_import_leaves_an_unregistered_folder_in_its_place_alone(
    models_dir: Path, gguf: Path
) -> None:
    (models_dir / "tiny").mkdir()
    (models_dir / "tiny" / "mine.txt").write_text("keep")

    with pytest.raises(NameTaken, match="mlx-hub import"):
        imported(gguf)

    assert (models_dir / "tiny" / "mine.txt").read_text() == "keep"
    assert not LocalModel.objects.exists()


@pytest.mark.parametrize("slug", ["../escape", "", ".hidden", "Upper", "a/b", "a:b", "a\n"])
def test_a_name_that_could_be_a_path_is_refused(models_dir: Path, gguf: Path, slug: str) -> None:
    with pytest.raises(InvalidName, match="can't be a model's name"):
        imported(gguf, slug)

    assert visible(models_dir) == set()


def test_a_name_is_given_once(models_dir: Path, gguf: Path) -> None:
    first = imported(gguf)

    with pytest.raises(NameTaken, match="Choose another name"):
        imported(gguf)

    assert LocalModel.objects.get() == first


def test_registering_a_folder_leaves_it_where_it_is(
    models_dir: Path, gguf: Path, tmp_path: Path
) -> None:
    import_gguf(gguf, tmp_path / "mine")

    model = services.register_folder(
        path=tmp_path / "mine",
        slug="mine",
        name="Mine",
        source=LocalModel.Source.FOLDER,
        repo_id="someone/mine",
    )

    assert Path(model.path) == tmp_path / "mine"
    assert LocalModel.objects.named("someone/mine").get() == model
    assert LocalModel.objects.named("mine").get() == model


def test_registering_a_folder_again_refreshes_its_entry(
    models_dir: Path, gguf: Path, tmp_path: Path
) -> None:
    import_gguf(gguf, tmp_path / "mine")
    entry = {"path": tmp_path / "mine", "slug": "mine", "source": LocalModel.Source.FOLDER}
    before = services.register_folder(**entry, name="Old")
    (tmp_path / "mine" / "chat_template.jinja").write_text("{{ messages }}")

    after = services.register_folder(**entry, name="New")

    assert after.pk == before.pk
    assert after.name == "New"
    assert after.digest != before.digest


def test_a_slug_can_not_be_moved_to_another_folder(
    models_dir: Path, gguf: Path, tmp_path: Path
) -> None:
    imported(gguf)
    import_gguf(gguf, tmp_path / "mine")

    with pytest.raises(NameTaken):
        services.register_folder(
            path=tmp_path / "mine", slug="tiny", name="Mine", source=LocalModel.Source.FOLDER
        )


def test_the_starter_model_is_imported_once(models_dir: Path, tiny_starter: Path) -> None:
    stages: list[str] = []
    first = starter.register_starter(progress=lambda stage, fraction: stages.append(stage))
    again = starter.register_starter(progress=lambda stage, fraction: stages.append("again"))

    assert first is not None
    assert first == again
    assert first.slug == STARTER
    assert first.source == LocalModel.Source.STARTER
    assert "converting weights" in stages
    assert "again" not in stages


def test_a_starter_whose_folder_was_lost_is_imported_again(
    models_dir: Path, tiny_starter: Path, tmp_path: Path
) -> None:
    first = starter.register_starter()
    assert not starter.starter_is_due()
    (models_dir / STARTER).rename(tmp_path / "lost")

    assert starter.starter_is_due()
    again = starter.register_starter()

    assert first == again
    assert (models_dir / STARTER / "config.json").is_file()


def test_a_starter_whose_import_was_killed_before_the_commit_is_registered(
    models_dir: Path, tiny_starter: Path
) -> None:
    first = starter.register_starter()
    assert first is not None
    LocalModel.objects.all().delete()

    again = starter.register_starter()

    assert again is not None
    assert (again.path, again.digest, again.source) == (first.path, first.digest, first.source)


def test_without_its_package_there_is_no_starter(
    models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starter, "find_starter", lambda: None)

    assert starter.register_starter() is None


def test_a_deleted_starter_stays_away_until_it_is_asked_for(
    models_dir: Path, tiny_starter: Path
) -> None:
    model = starter.register_starter()
    assert model is not None
    deleting.delete_model(model=model)

    assert not starter.starter_is_due()
    assert starter.register_starter() is None
    assert starter.register_starter(again=True) is not None
    assert not starter.starter_declined()


def test_deleting_an_imported_model_removes_its_files(models_dir: Path, gguf: Path) -> None:
    deleting.delete_model(model=imported(gguf))

    assert visible(models_dir) == set()
    assert not LocalModel.objects.exists()


def test_deleting_a_model_that_lies_elsewhere_keeps_its_files(
    models_dir: Path, gguf: Path, tmp_path: Path
) -> None:
    import_gguf(gguf, tmp_path / "mine")
    model = services.register_folder(
        path=tmp_path / "mine", slug="mine", name="Mine", source=LocalModel.Source.FOLDER
    )

    deleting.delete_model(model=model)

    assert (tmp_path / "mine" / "config.json").is_file()
    assert not LocalModel.objects.exists()


def test_a_model_with_adapters_is_not_deleted(models_dir: Path, gguf: Path) -> None:
    model = imported(gguf)
    Adapter.objects.create(base=model, slug="a", name="A", path="/a", digest="sha256:0")

    with pytest.raises(ModelInUse, match="Adapter A is built on it"):
        deleting.delete_model(model=model)

    assert (models_dir / "tiny" / "config.json").is_file()
    assert LocalModel.objects.get() == model
