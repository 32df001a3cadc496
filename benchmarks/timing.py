"""Time variants of one computation alternately, so that a drift of the machine's speed affects all of them."""

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
        name: Name in the table.
        run: Function that computes the part once.
        flops: Floating-point operations of matrix products and convolutions per run; None: negligible.
        dtype: Data type of most operations, which selects the ceiling.
        agreement: Result of the comparison with the reference, as text.
        items: Number of items that one run processes.
    """

    name: str
    run: Callable[[], object]
    flops: float | None = None
    dtype: torch.dtype = torch.float32
    agreement: str = ""
    items: int = 1


@dataclass(frozen=True)
class Row:
    """A row of the table; the first variant of a group is the reference for the others.

    Attributes:
        group: Name of the computation, with its size.
        name: Name of the variant.
        seconds: Duration of one run in seconds, median of the rounds.
        faster: Items per second relative to the reference, median of the rounds; None for the reference.
        gflop: GFLOP per run.
        ceiling: Speed as a fraction of the machine's peak in this data type.
        kernel: Fraction of processor time spent in the operating system, mostly on page faults.
        peak_mb: Peak of the resident memory that one run adds, in MB.
        rate: Items per second, with their unit.
        agreement: Result of the comparison with the reference.
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
    """Measured times of a variant in seconds."""

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
    """Run the variants alternately, after a warm-up round.

    Args:
        group: Name of the group of rows.
        variants: Variants, the reference first.
        machine: Machine with its ceilings.
        rounds: Number of measured rounds.
        memory: Also measure peak memory, in one more run per variant.
        unit: Unit of the rate, such as ``windows/s``; empty: no rate.
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
    """Floating-point operations of matrix products and convolutions in an eager run, including the backward pass."""
    with FlopCounterMode(display=False) as counter:
        run()
    return float(counter.get_total_flops())


def peak_mb(run: Callable[[], object]) -> float | None:
    """Increase of the peak resident memory in MB; None on systems other than Linux."""
    if not Path("/proc/self/clear_refs").exists():
        return None
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # otherwise, reused memory of earlier runs does not count
    Path("/proc/self/clear_refs").write_text("5")  # reset the peak to the current value
    before = _status("VmRSS")
    run()
    return max(_status("VmHWM") - before, 0) / 1e3


def _status(name: str) -> int:
    """Value of a line of ``/proc/self/status`` in kB."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1])
