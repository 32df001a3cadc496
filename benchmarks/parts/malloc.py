"""The encoder's step with several settings of the system's allocator, each in separate processes.

glibc returns large blocks to the system when they are freed; the next step then waits until the same pages are zeroed
again. Environment variables can keep the blocks, or use pages of 2 MB.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass

import torch

from benchmarks.machine import Machine
from benchmarks.material import TOY, Size, windows
from benchmarks.parts.encoder import forward_backward
from benchmarks.timing import Row

KEEP = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**36), "MALLOC_TOP_PAD_": str(2**26)}
HUGE = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
SETTINGS: dict[str, dict[str, str]] = {
    "as it is": {},
    "freed memory kept": KEEP,
    "pages of 2 MB": HUGE,
    "freed memory kept, pages of 2 MB": KEEP | HUGE,
    "torch's THP_MEM_ALLOC_ENABLE=1": {"THP_MEM_ALLOC_ENABLE": "1"},
}


@dataclass(frozen=True)
class Run:
    """Result of one process: median step time in seconds, fraction of kernel time, page faults per step."""

    seconds: float
    kernel: float
    faults: float
    peak_mb: float


def child(size: Size, dtype: torch.dtype) -> Run:
    """Measure in this process, with its environment."""
    torch.manual_seed(0)
    run = forward_backward(size.encoder(), windows(size, size.encoder_windows), dtype)
    run()
    run()
    before, seconds = resource.getrusage(resource.RUSAGE_SELF), []
    for _ in range(size.rounds):
        begin = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begin)
    after = resource.getrusage(resource.RUSAGE_SELF)
    system, user = after.ru_stime - before.ru_stime, after.ru_utime - before.ru_utime
    faults = (after.ru_minflt - before.ru_minflt) / size.rounds
    return Run(statistics.median(seconds), system / max(system + user, 1e-9), faults, after.ru_maxrss / 1e3)


def start(environment: dict[str, str], size: Size, dtype: torch.dtype) -> Run:
    """Measure in a new process with the given environment."""
    names = ["toy" if size == TOY else "full", str(dtype).removeprefix("torch.")]
    command = [sys.executable, "-m", __name__ if __name__ != "__main__" else "benchmarks.parts.malloc", *names]
    env = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads()), **environment}
    done = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
    return Run(**json.loads(done.stdout.splitlines()[-1]))


def rows(size: Size, machine: Machine) -> list[Row]:
    """Rows for all settings, measured alternately, twice."""
    return [row for dtype in (torch.float32, torch.bfloat16) for row in _of_dtype(size, dtype)]


def _of_dtype(size: Size, dtype: torch.dtype) -> list[Row]:
    taken: dict[str, list[Run]] = {name: [] for name in SETTINGS}
    for _ in range(min(size.rounds, 2)):
        for name, environment in SETTINGS.items():
            taken[name].append(start(environment, size, dtype))
    plain = next(iter(taken.values()))
    group = f"allocator, encoder, {size.encoder_windows} windows, {str(dtype).removeprefix('torch.')}"
    found = []
    for name, runs in taken.items():
        ratio = statistics.median(a.seconds / b.seconds for a, b in zip(plain, runs, strict=True))
        best = min(runs, key=lambda run: run.seconds)
        found.append(
            Row(
                group,
                name,
                statistics.median(run.seconds for run in runs),
                faster=None if runs is plain else ratio,
                kernel=best.kernel,
                peak_mb=best.peak_mb,
                agreement=f"{best.faults:.0f} page faults",
            )
        )
    return found


if __name__ == "__main__":
    sizes = {"toy": TOY, "full": Size()}
    print(json.dumps(asdict(child(sizes[sys.argv[1]], getattr(torch, sys.argv[2])))))
