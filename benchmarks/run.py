"""Each part beside a plain reference, in turn: medians and ratios, which hold when the machine's speed drifts.

``make bench`` prints the table and writes ``benchmarks/latest.md``.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from relcon_lightning.augment import RandomAugmentations
from relcon_lightning.losses import relative_contrastive
from relcon_lightning.nets import MotifDistance, sparsemax

Pair = tuple[str, Callable[[], object], Callable[[], object]]


def looped_distance(net: MotifDistance, anchors: Tensor) -> Tensor:
    """One anchor at a time against all candidates, keys and values anew each time."""
    return torch.stack([net.distance(a.expand_as(anchors), anchors) for a in anchors])


def looped_loss(similarities: Tensor, distances: Tensor) -> Tensor:
    """One anchor and one positive at a time, from Eq. 5-7."""
    total = similarities.new_zeros(())
    for s, d in zip(similarities, distances, strict=True):
        for i in range(len(s)):
            total = total - s[i] + torch.logsumexp(torch.cat([s[i : i + 1], s[d > d[i]]]), 0)
    return total / len(similarities)


def sorted_sparsemax(z: Tensor) -> Tensor:
    """By sorting every row (Martins & Astudillo 2016, Algorithm 1)."""
    ordered = z.sort(-1, descending=True).values
    excess = ordered.cumsum(-1) - 1
    rank = torch.arange(1, z.shape[-1] + 1)
    size = (rank * ordered > excess).sum(-1, keepdim=True)
    return (z - excess.gather(-1, size - 1) / size).clamp(min=0)


def pairs(batch: int) -> list[Pair]:
    """Name, ours and reference of each part."""
    generator = torch.Generator().manual_seed(0)
    windows = torch.randn(batch, 3, 256, generator=generator)
    net = MotifDistance().eval().requires_grad_(False)
    similarities, distances = (torch.rand(batch, batch + 20, generator=generator) for _ in range(2))
    logits = 3 * torch.randn(batch, 256, 256, generator=generator)
    augment = RandomAugmentations()

    def one_by_one() -> list[Tensor]:
        return [augment(window[None], generator) for window in windows]

    return [
        ("in-batch distances", lambda: net.in_batch(windows), lambda: looped_distance(net, windows)),
        ("sparsemax", lambda: sparsemax(logits), lambda: sorted_sparsemax(logits)),
        (
            "relative contrastive loss",
            lambda: relative_contrastive(similarities, distances),
            lambda: looped_loss(similarities, distances),
        ),
        ("two augmentations a window", lambda: augment(windows, generator), one_by_one),
    ]


def measure(ours: Callable[[], object], reference: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Median seconds of both, run in turn."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for i in range(rounds + 1):
        for part, taken in zip((ours, reference), seconds, strict=True):
            begin = time.perf_counter()
            part()
            if i:  # the first round warms up
                taken.append(time.perf_counter() - begin)
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    machine = (
        f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__.split('+')[0]}, float32"
    )
    table = Table("part", "ours (ms)", "reference (ms)", "times faster", title=f"Batch {options.batch}, {machine}")
    lines = [f"Batch {options.batch}, {machine}, median of {options.rounds}.", ""]
    lines += ["| part | ours (ms) | reference (ms) | times faster |", "|---|---|---|---|"]
    with torch.no_grad():
        for name, ours, reference in pairs(options.batch):
            mine, plain = measure(ours, reference, options.rounds)
            row = (name, f"{1000 * mine:.2f}", f"{1000 * plain:.2f}", f"{plain / mine:.1f}")
            table.add_row(*row)
            lines.append("| " + " | ".join(row) + " |")
    Console().print(table)
    path = Path(__file__).parent / "latest.md"
    path.write_text("\n".join(lines) + "\n")
    print(f"Written to {path}")


if __name__ == "__main__":
    main()
