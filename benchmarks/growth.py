"""How the cost of a step grows with anchors, candidates and window length: in operations, and as measured.

``python -m benchmarks.growth`` prints the table and writes ``benchmarks/growth.md``. An exponent is the slope of
log cost over log size. The cost in operations counts floating-point operations of matrix products and convolutions, and
for the loss, pairs of windows. A step is that of the paper: each anchor has its own candidates and all other anchors.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks import machine as machines
from benchmarks.material import TOY, Size, trained_distance
from benchmarks.parts.distance import as_fused
from benchmarks.parts.step import make_batch
from benchmarks.timing import count_flops
from relcon_lightning.losses import relative_contrastive
from relcon_lightning.nets import MotifDistance, ResNet1d

STEP = Size(batch=8, candidates=10)
SWEEPS: dict[str, tuple[int, ...]] = {"batch": (8, 16, 32), "candidates": (5, 10, 20, 40), "time": (128, 256, 512)}
MEANING = {"batch": "anchors, B", "candidates": "candidates of an anchor, c", "time": "samples of a window, T"}


@dataclass(frozen=True)
class Part:
    """One part of a step at one size: a function that runs it, and its number of operations."""

    run: Callable[[], object]
    work: float


def parts(size: Size, encoder: ResNet1d, distance: MotifDistance) -> Iterator[tuple[str, Part]]:
    """The three parts whose cost grows; that of the optimizer does not."""
    batch = make_batch(size)
    anchors, candidates = batch.anchor, batch.candidates
    windows = torch.cat([anchors, candidates.flatten(0, 1)])

    def embed() -> None:
        encoder(windows).sum().backward()

    @torch.no_grad()
    def rank(net: MotifDistance) -> None:
        net.pairwise(anchors, candidates)
        net.in_batch(anchors)

    yield "encoder, forward and backward", Part(embed, count_flops(embed))
    yield "distances", Part(partial(rank, as_fused(distance)), count_flops(partial(rank, distance)))
    others = size.batch + size.candidates
    similarities = torch.rand(size.batch, others, requires_grad=True)
    ranks = torch.rand(size.batch, others)
    yield "loss", Part(partial(_learn, similarities, ranks), size.batch * others)


def _learn(similarities: Tensor, distances: Tensor) -> None:
    relative_contrastive(similarities, distances).backward()


def seconds(run: Callable[[], object], rounds: int) -> float:
    """Median duration of a run in seconds, after a warm-up run."""
    run()
    taken = []
    for _ in range(rounds):
        begin = time.perf_counter()
        run()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def exponent(sizes: tuple[int, ...], costs: list[float]) -> float:
    """Slope of log cost over log size, by least squares."""
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])


def table(step: Size, sweeps: dict[str, tuple[int, ...]]) -> str:
    """Markdown table with one row per part and size that it grows with."""
    torch.manual_seed(0)
    encoder, distance = step.encoder(), trained_distance(step)
    lines = ["| grows with | part | ms | exponent of the arithmetic | exponent measured |", "|---|---|---|---|---|"]
    for name, values in sweeps.items():
        found: dict[str, list[tuple[float, float]]] = {}
        for value in values:
            for part, own in parts(
                replace(step, **{name: value}),  # type: ignore[arg-type] # names of whole numbers
                encoder,
                distance,
            ):
                found.setdefault(part, []).append((own.work, seconds(own.run, step.rounds)))
        for part, costs in found.items():
            works, times = ([cost[i] for cost in costs] for i in (0, 1))
            shown = ", ".join(f"{1000 * t:.3g}" for t in times)
            label = f"{MEANING[name]}: {', '.join(map(str, values))}"
            lines.append(
                f"| {label} | {part} | {shown} | {exponent(values, works):.2f} | {exponent(values, times):.2f} |"
            )
    return "\n".join(lines)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that all works, not how it grows")
    if parser.parse_args().quick:
        print(table(TOY, dict.fromkeys(SWEEPS, (16, 32))))
        return
    fixed = (
        f"B = {STEP.batch}, c = {STEP.candidates}, T = {STEP.time} where they do not vary; float32, the paper's encoder"
    )
    text = f"# How the cost of a step grows\n\n{machines.name()}. {fixed}.\n\n{table(STEP, SWEEPS)}\n"
    path = Path(__file__).with_name("growth.md")
    path.write_text(text)
    print(f"{text}\nWritten to {path}")


if __name__ == "__main__":
    main()
