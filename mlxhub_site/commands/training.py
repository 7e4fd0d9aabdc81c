"""`mlx-hub train | resume | keep`: fine-tuning from the terminal.

The order is the same everywhere. Where a worker is alive, or the hub is another machine's,
the command watches; without one it does the worker's part. Ctrl-C stops and saves the job;
with --detach the command returns at once.
"""

from __future__ import annotations

import threading
from datetime import datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from mlxhub_site.commands.following import watched
from mlxhub_site.commands.hub.client import HubClient
from mlxhub_site.commands.hub.options import for_any_hub, hub
from mlxhub_site.commands.interrupts import once_interrupted
from mlxhub_site.commands.job_control import resumed
from mlxhub_site.commands.job_kinds import Job, named
from mlxhub_site.commands.jobs import Number
from mlxhub_site.commands.outcome import BadUsage, CommandFailed
from mlxhub_site.commands.output import AsJson, Tell, harmless, print_json
from mlxhub_site.commands.registry import Name

Detach = Annotated[bool, typer.Option("--detach", help="Leave it to the worker.")]
Force = Annotated[bool, typer.Option("--force", help="Even where preflight refuses it.")]


class Priority(StrEnum):
    """Which of those that wait come first."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


_PRIORITIES = {Priority.HIGH: 1, Priority.NORMAL: 0, Priority.LOW: -1}
"""As the API has them."""


@for_any_hub
def train(
    name: Name,
    data: Annotated[
        str, typer.Option(help="A dataset, as NAME or NAME@3, or a folder with train.jsonl.")
    ],
    new_name: Annotated[str, typer.Option("--name", help="What the result is to be called.")],
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Settings as mlx-lm's YAML.")
    ] = None,
    method: Annotated[str | None, typer.Option(help="lora, dora or full.")] = None,
    start_from: Annotated[
        str | None, typer.Option(help="An adapter of the same model to train on.")
    ] = None,
    objective: Annotated[
        str | None, typer.Option(help="sft, dpo or orpo; left out: what the data is for.")
    ] = None,
    beta: Annotated[float | None, typer.Option(help="Of dpo and orpo.")] = None,
    iters: Annotated[int | None, typer.Option(help="Batches to compute.")] = None,
    batch_size: Annotated[int | None, typer.Option()] = None,
    learning_rate: Annotated[float | None, typer.Option()] = None,
    num_layers: Annotated[int | None, typer.Option(help="From the last; -1: all.")] = None,
    max_seq_length: Annotated[int | None, typer.Option(help="Tokens of a row.")] = None,
    rank: Annotated[int | None, typer.Option(help="Of LoRA's matrices.")] = None,
    grad_checkpoint: Annotated[bool | None, typer.Option(help="Less memory, slower.")] = None,
    mask_prompt: Annotated[bool | None, typer.Option(help="Learn the answers alone.")] = None,
    seed: Annotated[int | None, typer.Option()] = None,
    option: Annotated[
        list[str] | None, typer.Option("--set", help="Any other setting, as NAME=VALUE.")
    ] = None,
    priority: Annotated[Priority, typer.Option(help="Among those that wait.")] = Priority.NORMAL,
    after: Annotated[
        int | None, typer.Option(min=1, metavar="JOB", help="Begin once that job is over.")
    ] = None,
    not_before: Annotated[
        datetime | None, typer.Option(help="Begin then or later, by this machine's clock.")
    ] = None,
    self_resuming: Annotated[
        bool, typer.Option(help="Go on by itself where a process died or the hub was stopped.")
    ] = True,
    detach: Detach = False,
    force: Force = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Examine it and print the settings, no more.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Fine-tune a model. What is not set is chosen to suit model, data and machine."""
    chosen = {
        "method": method, "objective": objective, "beta": beta, "iters": iters, "batch_size": batch_size, "seed": seed,
        "learning_rate": learning_rate, "num_layers": num_layers, "mask_prompt": mask_prompt,
        "max_seq_length": max_seq_length, "gradient_checkpointing": grad_checkpoint,
        "lora": None if rank is None else {"rank": rank}, "resume_adapter_file": start_from,
    }  # fmt: skip
    with hub() as client:
        order = {
            "model": name, "name": new_name, "settings": _settings(config, option or [], chosen),
            "data": data if client.is_remote else _absolute(data), "despite_refusals": force,
            "place": {
                "priority": _PRIORITIES[priority], "after": after, "self_resuming": self_resuming,
                "not_before": None if not_before is None else not_before.astimezone().isoformat(),
            },
        }  # fmt: skip
        if dry_run:
            found = client.post("/api/training/preflight", order)
            print_json(found) if as_json else _show_preflight(found)
            return
        job = client.post("/api/training/jobs", order)
        _watch(client, job, detach=detach, as_json=as_json)


@for_any_hub
def resume(key: Number, detach: Detach = False, as_json: AsJson = False) -> None:
    """Go on with a training from its newest checkpoint."""
    with hub() as client:
        _watch(client, resumed(client, named(str(key))), detach=detach, as_json=as_json)


@for_any_hub
def keep(key: Number, detach: Detach = False, as_json: AsJson = False) -> None:
    """Have a training that stands still leave what it had learnt at its newest checkpoint."""
    with hub() as client:
        job = client.post(f"/api/training/jobs/{key}/keep")
        _watch(client, job, detach=detach, as_json=as_json)


def _settings(config: Path | None, options: list[str], chosen: dict[str, Any]) -> dict[str, Any]:
    """The file's, then --set's, then the options'. Raises BadUsage."""
    try:
        settings = _read(config.read_text(encoding="utf-8")) if config else {}
    except (OSError, UnicodeDecodeError) as error:
        raise BadUsage(f"{config} can't be read: {error}") from error
    for each in options:
        key, equals, value = each.partition("=")
        if not equals:
            raise BadUsage(f"--set {each}: write it as NAME=VALUE.")
        settings |= _read(f"{key}: {value}")
    given = {name: value for name, value in chosen.items() if value is not None}
    if "lora" in given and isinstance(settings.get("lora"), dict):
        given["lora"] = settings["lora"] | given["lora"]
    settings |= given
    start = settings.get("resume_adapter_file")
    if isinstance(start, str) and Path(start).exists():
        settings["resume_adapter_file"] = str(Path(start).absolute())
    return settings


def _read(yaml: str) -> dict[str, Any]:
    from apps.training.trainer.errors import BadConfig
    from apps.training.trainer.mlx_lm_yaml import read_yaml

    try:
        settings = read_yaml(yaml)
    except BadConfig as error:
        raise BadUsage(str(error)) from error
    return {name: value for name, value in settings.items() if name not in ("model", "data")}


def _absolute(data: str) -> str:
    """A folder here by its whole path: only a terminal is anywhere. A dataset as it is."""
    return str(Path(data).absolute()) if Path(data).is_dir() else data


def _show_preflight(found: dict[str, Any]) -> None:
    typer.echo(found["config"])
    needed, free = found["needed_bytes"] / 1024**3, found["free_bytes"] / 1024**3
    verdict = found["verdict"].capitalize()
    typer.echo(f"Memory: {verdict}, needs {needed:.1f} GiB of {free:.1f} GiB")
    for finding in found["findings"]:
        typer.echo(harmless(f"{finding['level'].capitalize()}: {finding['text']}"))


def _watch(client: HubClient, job: Job, *, detach: bool, as_json: bool) -> None:
    """Show the job until it stands still, and say what came of it."""
    if not detach:
        path = f"/api/training/jobs/{job['id']}"
        job = watched(client, path, job, partial(_train_here, client), end="stop")
    if as_json:
        print_json(job)
    elif job["test"] is not None:
        typer.echo(_tested(job["test"]))
    match job["state"]:
        case "queued" | "running" if not as_json:
            key = job["id"]
            typer.echo(f"Job {key} is queued. `mlx-hub logs -f {key}` follows it.")
        case "done" if job["stopped"] and not as_json:
            typer.echo(
                f"Stopped at step {job['step']:,}, and {job['made']} is ready. "
                f"`mlx-hub resume {job['id']}` goes on."
            )
        case "done" if not as_json:
            typer.echo(f"{job['made']} is ready: `mlx-hub chat {job['made']}`.")
        case "paused" if not as_json:
            typer.echo(f"Stopped at step {job['step']:,}. `mlx-hub resume {job['id']}` goes on.")
        case "failed" | "cancelled" | "interrupted" as state:
            raise CommandFailed(job["error"] or f"The job is {state}.")


def _tested(test: dict[str, Any]) -> str:
    perplexity = test["perplexity"]
    shown = "" if perplexity is None else f", perplexity {perplexity:.2f}"
    return f"Test loss {test['loss']:.4f}{shown}, of {test['rows']:,} rows."


def _train_here(client: HubClient, key: int, tell: Tell, interrupted: threading.Event) -> None:
    """Do the worker's part, once it is the job's turn. Ctrl-C stops and saves it."""
    from apps.jobs.turns import AnotherWorks, turn_of_its_own
    from apps.training.models import TrainingJob
    from apps.training.running import run

    job = TrainingJob.objects.get(pk=key)
    if job.is_active and not job.hindrance:
        try:
            stop = partial(client.post, f"/api/training/jobs/{key}/stop")
            with once_interrupted(interrupted, stop), turn_of_its_own():
                run(job, stops=threading.Event(), on_progress=tell)
        except AnotherWorks as error:
            tell(str(error), 0.0)
