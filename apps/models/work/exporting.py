"""Jobs that write a model for other programs: a copy of its folder, or one GGUF file."""

from __future__ import annotations

import shutil
from pathlib import Path

from django.conf import settings

from apps.jobs.conduct import Report
from apps.models.errors import NameTaken
from apps.models.runtime.staging import remove_abandoned, require_space, staged_folder
from apps.models.runtime.work.orders import GgufOrder
from apps.models.work.making import model_of
from apps.models.work.models import ModelJob
from apps.models.work.plans import ExportPlan, Format
from apps.models.work.process import carry_out

CHUNK_BYTES = 8 * 1024 * 1024


def exports_dir() -> Path:
    """Where exports lie if nobody names another place."""
    return Path(settings.HUB.exports_dir)


def destination_for(slug: str, format: Format) -> Path:
    """Where this export lies if nobody names another place."""
    name = f"{slug}.gguf" if format == "gguf" else slug
    return exports_dir() / name


def require_absent(destination: Path) -> None:
    """Raises NameTaken where something lies there: an export never overwrites."""
    if destination.exists():
        raise NameTaken(
            f"{destination} exists already, and an export never overwrites. Remove it first, or "
            "choose another name or place."
        )


def export(job: ModelJob, report: Report) -> None:
    """The work of an export. Raises RuntimeFault, RegistryError."""
    plan, model = ExportPlan.model_validate(job.plan), model_of(job)
    destination = Path(plan.destination)
    require_absent(destination)
    if plan.format == "gguf":
        order = GgufOrder(source=Path(model.path), destination=destination)
        figures = carry_out(order, report).model_dump(mode="json")
    else:
        figures = {"size_bytes": _copy(Path(model.path), destination, report)}
    job.figures = figures | {"destination": plan.destination}
    job.save(update_fields=["figures"])


def _copy(source: Path, destination: Path, report: Report) -> int:
    """Copy the folder, links followed, hidden files left out; bytes copied."""
    files = [file for file in _visible(source) if file.is_file()]
    total = sum(file.stat().st_size for file in files)
    done = 0
    remove_abandoned(destination.parent)  # of a worker that was killed in the middle of it
    with staged_folder(destination) as folder:
        require_space(folder, total)
        for file in files:
            target = folder / file.relative_to(source)
            target.parent.mkdir(exist_ok=True)
            with file.open("rb") as read, target.open("wb") as written:
                while chunk := read.read(CHUNK_BYTES):
                    written.write(chunk)
                    done += len(chunk)
                    report("copying", done / max(total, 1))
            shutil.copymode(file, target)
    return done


def _visible(source: Path) -> list[Path]:
    """A model folder's files, and those of its folders, one level deep."""
    inside = [file for file in source.iterdir() if not file.name.startswith(".")]
    folders = [each for each in inside if each.is_dir() and not each.is_symlink()]
    return [*inside, *(file for folder in folders for file in folder.iterdir())]
