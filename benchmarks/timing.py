"""Variants of one computation in turn: what drifts with the machine, drifts for all of them."""

from __future__ import annotations

import ctypes
import gc
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.machine import Machine


@dataclass(frozen=True)
class Variant:
    """One way to compute a part.

    Attributes:
        name: In the table.
        run: Does it once.
        flops: Of one run, in matrix products and convolutions; None where there are none to speak of.
        dtype: Of most of its arithmetic; says which ceiling it is held against.
        agreement: What the check against the reference found.
        items: How many of the part's items one run works off.
    """

    name: str
    run: Callable[[], object]
    flops: float | None = None
    dtype: torch.dtype = torch.float32
    agreement: str = ""
    items: int = 1


@dataclass(frozen=True)
class Row:
    """A line of the table; the first variant of a group is the reference of the others.

    Attributes:
        group: What is computed, and at which size.
        name: Of the variant.
        seconds: Of one run, median of the rounds.
        faster: Items per second through the reference's, median of the rounds; None of the reference.
        gflop: Of one run.
        ceiling: Share of the most that the machine reaches in that number type.
        kernel: Share of the processor's time that went to the operating system: page faults, in most parts.
        peak_mb: Resident memory that one run adds at most.
        rate: Items per second, with their unit.
        agreement: With the reference.
    """

    group: str
    name: str
    seconds: float
    faster: float | None = None
    gflop: float | None = None
    ceiling: float | None = None
    kernel: float | None = None
    peak_mb: float | None = None
    rate: str = ""
    agreement: str = ""


@dataclass
class _Taken:
    """Seconds of a variant."""

    wall: list[float] = field(default_factory=list)
    user: float = 0.0
    system: float = 0.0

    def add(self, run: Callable[[], object]) -> None:
        before, begin = os.times(), time.perf_counter()
        run()
        self.wall.append(time.perf_counter() - begin)
        after = os.times()
        self.user += after.user - before.user
        self.system += after.system - before.system


def compare(
    group: str, variants: Sequence[Variant], machine: Machine, rounds: int, memory: bool = False, unit: str = ""
) -> list[Row]:
    """Run the variants in turn, after a round that warms up.

    Args:
        group: Of the rows.
        variants: The reference first.
        machine: With its ceilings.
        rounds: That count.
        memory: Measure the peak too, in one more run of each.
        unit: Of the rate, as ``windows/s``; no rate if empty.
    """
    taken = [_Taken() for _ in variants]
    for variant in variants:
        variant.run()
    for _ in range(rounds):
        for variant, own in zip(variants, taken, strict=True):
            own.add(variant.run)
    rows = [_row(group, variant, own, machine, unit) for variant, own in zip(variants, taken, strict=True)]
    for i in range(1, len(rows)):
        share = variants[i].items / variants[0].items
        ratios = [share * a / b for a, b in zip(taken[0].wall, taken[i].wall, strict=True)]
        rows[i] = replace(rows[i], faster=statistics.median(ratios))
    if not memory:
        return rows
    return [replace(row, peak_mb=peak_mb(variant.run)) for row, variant in zip(rows, variants, strict=True)]


def _row(group: str, variant: Variant, taken: _Taken, machine: Machine, unit: str) -> Row:
    seconds = statistics.median(taken.wall)
    flops = variant.flops
    return Row(
        group,
        variant.name,
        seconds,
        gflop=None if flops is None else flops / 1e9,
        ceiling=None if flops is None else flops / seconds / machine.ceiling(variant.dtype),
        kernel=taken.system / max(taken.user + taken.system, 1e-9),
        rate=f"{_short(variant.items / seconds)} {unit}" if unit else "",
        agreement=variant.agreement,
    )


def _short(rate: float) -> str:
    return f"{rate:.1f}" if rate < 100 else f"{rate:.0f}"


def count_flops(run: Callable[[], object]) -> float:
    """Floating-point operations of matrix products and convolutions of an eager run, backward included."""
    with FlopCounterMode(display=False) as counter:
        run()
    return float(counter.get_total_flops())


def peak_mb(run: Callable[[], object]) -> float | None:
    """Megabytes that resident memory rises by; None on systems other than Linux."""
    if not Path("/proc/self/clear_refs").exists():
        return None
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # else memory that was freed and kept is used again and does not count
    Path("/proc/self/clear_refs").write_text("5")  # the highest mark falls to the present
    before = _status("VmRSS")
    run()
    return max(_status("VmHWM") - before, 0) / 1e3


def _status(name: str) -> int:
    """In kB."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1])
