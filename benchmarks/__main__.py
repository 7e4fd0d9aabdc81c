"""`python -m benchmarks`: start a hub, measure, compare with the targets."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks import measures
from benchmarks.bare_loop import bare_loop
from benchmarks.hub import benchmark_hub


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds per figure (default 5)")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()

    figures: list[measures.Figure] = []
    with benchmark_hub() as hub, bare_loop(hub.model_path) as loop:
        for figure in measures.warm_prompt(hub, options.rounds):
            figures.append(_shown(figure))
        for figure in measures.decode(hub, loop, options.rounds):
            figures.append(_shown(figure))
    if options.json:
        options.json.write_text(json.dumps([_plain(figure) for figure in figures], indent=2))
    return 0 if all(figure.holds(figure.ratio) for figure in figures) else 1


def _shown(figure: measures.Figure) -> measures.Figure:
    verdict = "ok" if figure.holds(figure.ratio) else "MISSED"
    print(
        f"{figure.name:<62} {figure.ours:8.3f} / {figure.theirs:8.3f} {figure.unit:<6}"
        f"= {figure.ratio:6.3f}   target {figure.target}   {verdict}",
        flush=True,
    )
    return figure


def _plain(figure: measures.Figure) -> dict[str, float | str | bool]:
    return {
        "name": figure.name,
        "ours": figure.ours,
        "theirs": figure.theirs,
        "unit": figure.unit,
        "ratio": figure.ratio,
        "target": figure.target,
        "holds": figure.holds(figure.ratio),
    }


if __name__ == "__main__":
    sys.exit(main())
