"""The machine: its name and its peak speed in float32 and bfloat16, with which the parts are compared."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F


@dataclass(frozen=True)
class Machine:
    """Name, and floating-point operations per second of matrix products and convolutions by data type."""

    name: str
    products: dict[torch.dtype, float]
    convolutions: dict[torch.dtype, float]

    def ceiling(self, dtype: torch.dtype) -> float:
        """The faster of the two; they use two libraries, one of which may not be optimised for the processor."""
        return max(self.products[dtype], self.convolutions[dtype])


def measure(side: int = 2048, batch: int = 64, rounds: int = 10) -> Machine:
    """Fastest of several products of square matrices, and of several convolutions typical of the encoder."""
    dtypes = (torch.float32, torch.bfloat16)
    return Machine(
        name(),
        {dtype: _product(dtype, side, rounds) for dtype in dtypes},
        {dtype: _convolution(dtype, batch, rounds) for dtype in dtypes},
    )


def _product(dtype: torch.dtype, side: int, rounds: int) -> float:
    a, b = (torch.randn(side, side).to(dtype) for _ in range(2))
    return 2 * side**3 / _fastest(lambda: a @ b, rounds)


@torch.no_grad()
def _convolution(dtype: torch.dtype, batch: int, rounds: int) -> float:
    x, weight = torch.randn(batch, 256, 64).to(dtype), torch.randn(256, 256, 4).to(dtype)
    return 2 * weight.numel() * batch * (64 - 3) / _fastest(lambda: F.conv1d(x, weight), rounds)


def _fastest(run: Callable[[], object], rounds: int) -> float:
    seconds = []
    for _ in range(rounds + 1):  # the first round is slow; the fastest is used
        begin = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def name() -> str:
    """Processor, cores, threads, operating system and version of torch."""
    information = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", information.read_text()) if information.exists() else None
    model = found[1] if found else platform.machine()
    version = torch.__version__.split("+")[0]
    return f"{model}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, {platform.system()}, torch {version}"
