"""One model's real peak of memory, in a process that does nothing else.

`python -m benchmarks.fit_subject JOB`, JOB being JSON: a model folder, whether to hold its
weights in float32, and a chat or a training plan. Prints the peak as JSON.

The peak is what MLX's allocator counts. On a CPU that is the C heap, and the process's
resident memory is printed beside it: it grows by the same, and by what the BLAS and
NumPy take for themselves, which no model decides.
"""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

_PROMPT_TOKEN = 250
"""Tokens below this are bytes in every vocabulary here."""


def measure(job: dict[str, Any]) -> dict[str, int]:
    """Peaks in bytes: MLX's, and the process's growth."""
    from apps.models.runtime import accelerator

    profile = replace(accelerator.prepare(), compute_float32=job["float32"])
    from apps.models.runtime import cpu, loading

    training = "plan" in job
    if profile.backend == "cpu" and not training:
        cpu.install()
    import mlx.core as mx

    folder = Path(job["folder"])
    config = json.loads((folder / "config.json").read_text())
    importlib.import_module(f"mlx_lm.models.{config['model_type']}")
    run = _train if training else _chat
    before = _resident("VmRSS")
    mx.reset_peak_memory()
    loaded = loading.load(folder, profile)
    run(loaded.model, job)
    return {
        "peak": mx.get_peak_memory(),
        "resident": _resident("VmHWM") - before,
        "active": mx.get_active_memory(),
    }


def _chat(model: Any, job: dict[str, Any]) -> None:
    """Prefill in the engine's chunks, then decode until ``tokens`` are held."""
    from apps.inference.engine.protocol import Sampling
    from apps.inference.engine.runner import BatchRunner
    from apps.inference.engine.sampling import RowSampler
    from apps.inference.engine.scheduler import Chunk
    from apps.inference.engine.sequence import Sequence

    answer = 8
    prompt = tuple(i * 7 % _PROMPT_TOKEN for i in range(job["tokens"] - answer))
    sequence = Sequence("model", "client", prompt, answer)
    runner = BatchRunner(model, padding_allowed=0)
    runner.begin(sequence, RowSampler(Sampling(temperature=0.0)), [])
    for start in range(0, len(prompt), job["chunk"]):
        runner.prefill([Chunk(sequence, start, min(start + job["chunk"], len(prompt)))])
    for _ in range(answer):
        runner.decode()


def _train(model: Any, job: dict[str, Any]) -> None:
    """Two steps of mlx-lm's trainer, the second of which has all of the optimiser's state."""
    import mlx.core as mx
    import mlx.optimizers as optim
    from mlx_lm.tuner.trainer import TrainingArgs, train
    from mlx_lm.tuner.utils import linear_to_lora_layers

    plan = job["plan"]
    if plan["method"] != "full":
        model.freeze()
        adapter = {"rank": plan["rank"], "scale": 20.0, "dropout": 0.0}
        linear_to_lora_layers(model, plan["layers"], adapter, use_dora=plan["method"] == "dora")
    length = plan["length"] + 1  # the last token is only ever a target
    rows = [([i * 7 % _PROMPT_TOKEN for i in range(length)], 0)] * (2 * plan["batch"])
    with tempfile.TemporaryDirectory() as folder:
        options = TrainingArgs(
            batch_size=plan["batch"],
            iters=2,
            val_batches=0,
            max_seq_length=length,
            adapter_file=str(Path(folder) / "adapters.safetensors"),
            grad_checkpoint=plan["checkpoint"],
        )
        mx.eval(model.parameters())
        train(model, optim.AdamW(learning_rate=1e-5), rows, None, options)


def _resident(key: str) -> int:
    """Bytes of this process's resident memory, now (VmRSS) or at its most (VmHWM); Linux only."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if key in line)


if __name__ == "__main__":
    print(f"\n{json.dumps(measure(json.loads(sys.argv[1])))}")
