"""Sizes, device and results of the benchmark for a GPU, and how it measures."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from benchmarks.material import Size, trained_distance, windows
from relcon_lightning.batch import CandidateBatch
from relcon_lightning.nets import MotifDistance

Values = dict[str, Any]


@dataclass
class Bench:
    """Sizes, device and results.

    Attributes:
        size: Sizes of the computations.
        device: Device to measure.
        workers: Number of processes that load data.
        compile: True: also measure torch.compile; on a CPU this takes a minute.
        results: Results by part.
    """

    size: Size
    device: torch.device
    workers: int = 4
    compile: bool = True
    results: dict[str, Values] = field(default_factory=dict)

    @property
    def ways(self) -> dict[str, bool]:
        """Mapping from the name of each variant to True if its code is compiled."""
        return {"eager": False, "compiled": True} if self.compile else {"eager": False}

    @property
    def on_gpu(self) -> bool:
        """True if the device is a GPU."""
        return self.device.type == "cuda"

    def wait(self) -> None:
        """Wait until the device has finished its work."""
        if self.on_gpu:
            torch.cuda.synchronize(self.device)

    def ms(self, run: Callable[[], object], rounds: int | None = None) -> float:
        """Median duration of a run in milliseconds, after two warm-up runs."""
        seconds = []
        for i in range((rounds or self.size.rounds) + 2):
            self.wait()
            begin = time.perf_counter()
            run()
            self.wait()
            if i > 1:
                seconds.append(time.perf_counter() - begin)
        return 1000 * statistics.median(seconds)

    def peak_gb(self, run: Callable[[], object]) -> float | None:
        """Peak GPU memory of a run in GB; None on a CPU."""
        if not self.on_gpu:
            return None
        torch.cuda.reset_peak_memory_stats(self.device)
        run()
        self.wait()
        return torch.cuda.max_memory_allocated(self.device) / 1e9

    def bfloat16(self) -> torch.autocast:
        """Autocast as in Lightning's bf16-mixed."""
        return torch.autocast(self.device.type, torch.bfloat16)

    def distance(self, fused: bool = False) -> MotifDistance:
        """The trained motif distance on the device."""
        net = copy.deepcopy(trained_distance(self.size)).to(self.device)
        net.fused = fused
        return net

    def batch(self) -> CandidateBatch:
        """Anchors and candidates on the device, one participant per anchor."""
        size = self.size
        made = CandidateBatch.of(
            windows(size, size.batch),
            windows(size, size.batch * size.candidates, seed=1).unflatten(0, (size.batch, -1)),
            torch.arange(size.batch),
        )
        return made.to(self.device)
