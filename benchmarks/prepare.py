"""Prepare a cohort with one and two processes: time, processor time and memory, for tables and device files.

``python -m benchmarks.prepare`` writes a folder of CSV files and one of Axivity files, prepares each of them with every
number of processes, compares the bytes of the stores, and prints a table. On a busy machine, processor time is more
reliable than elapsed time.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import psutil

from benchmarks.machine import name
from relcon_lightning.data.store.manifest import checksum
from tests.data.readers.devices import cwa

RATE = 50
_EVERY_S = 0.1  # seconds between two samples of the processes


@dataclass(frozen=True)
class Cost:
    """Cost of a command.

    Attributes:
        wall_s: Elapsed time in seconds.
        cpu_s: Processor time of all processes in seconds, as last sampled before each one ended.
        peak_mb: Peak memory of all processes together in MB. Shared pages count once.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float


def cost_of(command: list[str]) -> Cost:
    """Run a command and sample all of its processes.

    Raises:
        CalledProcessError: The command failed.
    """
    begin, cpu, peak = time.perf_counter(), dict[int, float](), 0.0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as run:
        first = psutil.Process(run.pid)
        while run.poll() is None:
            memory = 0.0
            try:
                for one in (first, *first.children(recursive=True)):
                    times = one.cpu_times()
                    cpu[one.pid] = times.user + times.system
                    memory += one.memory_full_info().pss
            except psutil.Error:  # the process ended in the meantime
                continue
            peak = max(peak, memory)
            time.sleep(_EVERY_S)
        said = run.stdout.read() if run.stdout else b""
    if run.returncode:
        raise subprocess.CalledProcessError(run.returncode, command, said)
    return Cost(time.perf_counter() - begin, sum(cpu.values()), peak / 1e6)


def movement(seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Times ``(n,)`` and signal ``(n, 3)`` in g of a wrist."""
    times = np.arange(round(seconds * RATE)) / RATE
    signal = np.array([0, 0, 1]) + 0.1 * np.random.default_rng(0).standard_normal((len(times), 3))
    return times, signal


def write_tables(folder: Path, files: int, seconds: float) -> None:
    """Write CSV files with one recording each."""
    rows = "\n".join(f"{t:.3f},{x:.4f},{y:.4f},{z:.4f}" for t, (x, y, z) in zip(*movement(seconds), strict=True))
    for number in range(files):
        (folder / f"p{number:05d}.csv").write_text(f"time,x,y,z\n{rows}\n")


def write_devices(folder: Path, files: int, seconds: float) -> None:
    """Write Axivity files with one recording each."""
    content = cwa(*movement(seconds), nominal=RATE)
    for number in range(files):
        (folder / f"p{number:05d}.cwa").write_bytes(content)


KINDS: dict[str, tuple[str, Callable[[Path, int, float], None]]] = {
    "CSV": ("folder", write_tables),
    "Axivity": ("device", write_devices),
}


def prepared(data: str, raw: Path, root: Path, workers: int) -> tuple[Cost, dict[str, str]]:
    """Cost of preparing a store, and the checksums of its files."""
    program = str(Path(sys.executable).with_name("relcon-prepare"))
    person = "data.source.participant='p[0-9]+'"
    own = root / f"by{workers}"
    command = [program, f"data={data}", f"data.raw_dir={raw}", f"data.root={own}", "overwrite=true", person]
    cost = cost_of([*command, f"data.num_workers={workers}"])
    store = own / data
    return cost, {str(path.relative_to(store)): checksum(path) for path in store.rglob("*") if path.is_file()}


def run(files: int, seconds: float, workers: list[int], rounds: int, kinds: list[str]) -> str:
    """Create the table; each number of processes is compared with the first one."""
    lines = [
        "| files | processes | time, s | ratio | processor time, s | ratio | memory, MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind in kinds:
        data, write = KINDS[kind]
        costs: dict[int, list[Cost]] = {count: [] for count in workers}
        with tempfile.TemporaryDirectory() as folder:
            raw, root = Path(folder) / "raw", Path(folder) / "stores"
            raw.mkdir()
            write(raw, files, seconds)
            stores = []
            for number in range(rounds):
                for count in workers if number % 2 == 0 else reversed(workers):
                    cost, store = prepared(data, raw, root, count)
                    costs[count].append(cost)
                    stores.append(store)
            assert all(store == stores[0] for store in stores), "the store depends on the number of processes"
        lines += _rows(f"{files} {kind} files of {seconds / 60:g} minutes", costs)
    return "\n".join(lines)


def _rows(title: str, costs: dict[int, list[Cost]]) -> list[str]:
    def median(count: int, what: str) -> float:
        return statistics.median(getattr(cost, what) for cost in costs[count])

    def ratio(count: int, what: str) -> float:
        pairs = zip(costs[count], costs[next(iter(costs))], strict=True)
        return statistics.median(getattr(a, what) / getattr(b, what) for a, b in pairs)

    wall, cpu, peak = (field.name for field in fields(Cost))
    return [
        f"| {title} | {count} | {median(count, wall):.1f} | {ratio(count, wall):.2f} | {median(count, cpu):.1f} "
        f"| {ratio(count, cpu):.2f} | {median(count, peak):.0f} |"
        for count in costs
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=120)
    parser.add_argument("--minutes", type=float, default=60, help="length of each recording")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    options = parser.parse_args()
    print(run(options.files, 60 * options.minutes, options.workers, options.rounds, options.kinds))
    print(name())


if __name__ == "__main__":
    main()
