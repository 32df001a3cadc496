"""How start-up time, memory and batch time grow with the cohort, from 100 to 87 376 synthetic participants.

``python -m benchmarks.scale`` prints the table and writes ``benchmarks/scale.md``. Each size is measured in a
separate process. Memory is that of the process itself (RssAnon), without pages of mapped files, which the system can
drop.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from relcon_lightning.data import CandidateDataModule, CohortInfo, CohortStore, Recording

SIZES = (100, 1_000, 10_000, 87_376)  # the last: participant-days that the paper trained on
RATE = 100.0
INFO = CohortInfo("synthetic", RATE, "wrist", "made by the benchmark", "none", "none")


def recordings(participants: int, seconds: int) -> Iterator[Recording]:
    samples = round(seconds * RATE)
    signal = np.random.default_rng(0).standard_normal((samples + 97, 3)).astype(np.float32)
    for i in range(participants):
        yield Recording(f"r{i}", f"p{i}", signal[i % 97 : i % 97 + samples], RATE)


def memory_mb() -> float:
    found = re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) / 1024


def measure(path: str, batches: int = 50) -> dict[str, float]:
    """Seconds to open and split, memory in MB (also for the batches), milliseconds per batch of 64 x 21 windows."""
    before = memory_mb()
    begin = time.perf_counter()
    data = CandidateDataModule(path)
    data.setup()
    opened = time.perf_counter() - begin
    steps = iter(data.train_dataloader())
    times = []
    for _ in range(batches):
        begin = time.perf_counter()
        batch = next(steps)
        times.append(time.perf_counter() - begin)
    assert batch.candidates.shape == (64, 20, 3, 256)
    del batch
    return {"start": opened, "memory": memory_mb() - before, "batch": 1000 * statistics.median(times)}


def run(sizes: tuple[int, ...]) -> str:
    rows = [
        "| participants | start-up, s | memory, MB | batch of 64 anchors and 1280 candidates, ms |",
        "|---|---|---|---|",
    ]
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            CohortStore.write(Path(folder) / "store", recordings(size, 60), INFO)
            command = [sys.executable, "-m", "benchmarks.scale", "--measure", str(Path(folder) / "store")]
            found = json.loads(subprocess.run(command, check=True, text=True, capture_output=True).stdout)
        rows.append(f"| {size:,} | {found['start']:.2f} | {found['memory']:.0f} | {found['batch']:.1f} |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    arguments = parser.parse_args()
    if arguments.measure:
        torch.set_num_threads(1)
        print(json.dumps(measure(arguments.measure)))
        return
    table = run(tuple(arguments.sizes))
    print(table)
    if tuple(arguments.sizes) == SIZES:
        out = Path(__file__).with_name("scale.md")
        out.write_text(f"# Cost of a cohort's size\n\n{table}\n")
        print(f"Written to {out}")


if __name__ == "__main__":
    main()
