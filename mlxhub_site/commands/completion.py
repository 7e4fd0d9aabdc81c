"""`mlx-hub completion`: what makes a shell complete the commands."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

VARIABLE = "_MLX_HUB_COMPLETE"
"""Where the command line looks for what a shell wants of it."""


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(
    shell: Annotated[Shell, typer.Argument(help="bash, zsh or fish.")],
) -> None:
    """Print the completion script: `mlx-hub completion bash >> ~/.bash_completion`."""
    environment = os.environ | {VARIABLE: f"source_{shell}"}
    program = Path(sys.executable).with_name("mlx-hub")
    sys.stdout.flush()
    os.execve(program, [program.name], environment)  # noqa: S606 - our own command
