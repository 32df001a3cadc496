"""Monitor a long run for growth of its memory, open files, processes and logs.

``python -m benchmarks.soak 60 model=simclr data.num_workers=2`` trains for an hour with ``relcon-pretrain``, samples
all of its processes every ten seconds, prints the slopes and writes every sample to ``soak.csv``. Memory is the
proportional set size (PSS) of each process, so that pages shared by workers are counted once.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import psutil

OUT = Path("soak.csv")


@dataclass(frozen=True)
class Look:
    """Resources of a tree of processes at one moment."""

    seconds: float
    memory_mb: float
    processes: int
    files: int  # number of open files, sockets and pipes
    folder_mb: float  # size of the run's folder
    logs_mb: float  # size without checkpoints


def look(process: psutil.Process, folder: Path, since: float) -> Look:
    """Sample a tree of processes. Processes that end in the meantime are skipped."""
    memory = files = count = 0
    for one in (process, *process.children(recursive=True)):
        try:
            memory += one.memory_full_info().pss
            files += one.num_fds()
            count += 1
        except psutil.Error:
            continue
    sizes = {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    logs = sum(size for path, size in sizes.items() if path.suffix != ".ckpt")
    return Look(time.monotonic() - since, memory / 1e6, count, files, sum(sizes.values()) / 1e6, logs / 1e6)


def slope(looks: list[Look], name: str, settled: float = 0.25) -> float:
    """Growth per hour by least squares, without the first quarter, in which caches fill."""
    kept = [one for one in looks if one.seconds >= settled * looks[-1].seconds]
    hours = np.array([one.seconds for one in kept]) / 3600
    return float(np.polyfit(hours, [getattr(one, name) for one in kept], 1)[0])


def soak(minutes: float, overrides: list[str], folder: Path, every: float = 10) -> tuple[list[Look], list[int]]:
    """Run the training; returns the samples, and the ids of processes that outlive the run."""
    limit = time.strftime("%H:%M:%S", time.gmtime(60 * minutes))
    settings = ["trainer.max_steps=100000000", f"+trainer.max_time='00:{limit}'", f"folder={folder}", *overrides]
    command = [sys.executable, "-m", "relcon_lightning.cli.pretrain", *settings]
    begin, looks, seen = time.monotonic(), list[Look](), set[psutil.Process]()
    with subprocess.Popen(command, env={**os.environ, "WANDB_MODE": "offline"}) as run:
        process = psutil.Process(run.pid)
        while run.poll() is None:
            seen.update(process.children(recursive=True))
            looks.append(look(process, folder, begin))
            time.sleep(every)
    if run.returncode:
        raise SystemExit(f"The run ended with code {run.returncode} after {looks[-1].seconds:.0f} s.")
    return looks[:-1], [one.pid for one in seen if one.is_running()]  # the run was ending at the last sample


def table(looks: list[Look], left: list[int]) -> str:
    rows = ["| | after a quarter | at the end | most | grows by, an hour |", "|---|---|---|---|---|"]
    quarter = next(one for one in looks if one.seconds >= 0.25 * looks[-1].seconds)
    for name in (field.name for field in fields(Look) if field.name != "seconds"):
        first, last, most = getattr(quarter, name), getattr(looks[-1], name), max(getattr(one, name) for one in looks)
        figures = f"{first:.4g} | {last:.4g} | {most:.4g} | {slope(looks, name):+.3g}"
        rows.append(f"| {name.replace('_mb', ', MB')} | {figures} |")
    minutes = looks[-1].seconds / 60
    rows.append(f"\n{minutes:.0f} minutes, {len(looks)} looks; processes that outlived the run: {len(left)}.")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("minutes", type=float)
    parser.add_argument("overrides", nargs="*", help="for relcon-pretrain")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        looks, left = soak(arguments.minutes, arguments.overrides, Path(folder) / "run")
    with OUT.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Look)])
        writer.writeheader()
        writer.writerows(asdict(one) for one in looks)
    print(table(looks, left))
    print(f"Every look is in {OUT}")


if __name__ == "__main__":
    main()
