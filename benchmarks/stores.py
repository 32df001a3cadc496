"""Read random windows from several file formats: anchors per second, bytes, and estimates for a large cohort.

``python -m benchmarks.stores`` needs the extra ``bench``, prints the tables and writes ``benchmarks/stores.md``.
Formats that are not installed are named and skipped. ``--quick`` is a small run that only checks that everything works.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from benchmarks.stores_formats import FORMATS, Format, Mapped, Read

RATE = 100
WINDOW = 256
WINDOWS = 21  # an anchor and its 20 candidates, all of one participant
COHORT_DAYS = 87_376  # participant-days that the paper trained on
WARM_PASSES = 5


@dataclass(frozen=True)
class Size:
    """Sizes of the cohort and of a measurement."""

    participants: int = 200
    samples: int = 3600 * RATE
    batches: int = 8
    anchors: int = 16
    rounds: int = 3
    workers: tuple[int, ...] = (0, 2)


def signals(size: Size) -> Iterator[np.ndarray]:
    """Synthetic wrist signals for compressors: drifting gravity, bouts of movement and sensor noise."""
    t = np.arange(size.samples) / RATE
    for participant in range(size.participants):
        rng = np.random.default_rng([1, participant])
        angles = rng.uniform(0, 6.28, 2) + 0.3 * np.sin(t[:, None] * rng.uniform(0.001, 0.02, 2))
        a, b = angles.T
        gravity = np.stack([np.cos(a) * np.cos(b), np.sin(a) * np.cos(b), np.sin(b)], axis=1)
        moving = np.repeat(rng.random(-(-size.samples // 6000)) < 0.3, 6000)[: size.samples, None]
        swing = np.sin(2 * np.pi * t[:, None] * rng.uniform(0.8, 3, 3) + rng.uniform(0, 6, 3)) * rng.uniform(
            0.1, 0.8, 3
        )
        noise = rng.normal(0, 0.005, (size.samples, 3))
        yield (gravity + moving * swing + noise).astype(np.float32)


class Batches(Dataset[torch.Tensor]):
    """Item k is batch k, windows ``(anchors * 21, 3, 256)``; item -1 opens the files and reads nothing."""

    def __init__(self, form: Format, folder: Path, size: Size, seed: int) -> None:
        self.form, self.folder, self.size, self.seed = form, folder, size, seed

    def __getitem__(self, k: int) -> torch.Tensor:
        read = self._read
        if k < 0:
            return torch.empty(0)
        rng = np.random.default_rng([self.seed, k])
        participants = np.repeat(rng.integers(0, self.size.participants, self.size.anchors), WINDOWS)
        starts = rng.integers(0, self.size.samples - WINDOW, len(participants))
        return torch.from_numpy(self.form.gather(read, participants, starts, WINDOW))

    @cached_property
    def _read(self) -> Read:
        return self.form.open(self.folder)


class Order(Sampler[int]):
    """The items of the next pass."""

    def __init__(self) -> None:
        self.items: list[int] = []

    def __iter__(self) -> Iterator[int]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


def evict(folder: Path) -> None:
    """Drop the files from the system's cache, so that reads go to the disk. Mapped pages would stay."""
    for file in filter(Path.is_file, folder.rglob("*")):
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def speeds(form: Format, folder: Path, size: Size, workers: int, seed: int) -> tuple[float, float]:
    """Anchors per second with cold and warm cache, of a loader whose workers have already opened the files."""
    order = Order()
    loader = DataLoader(
        Batches(form, folder, size, seed),
        batch_size=None,
        sampler=order,
        num_workers=workers,
        persistent_workers=workers > 0,
        multiprocessing_context="spawn" if workers else None,  # the threads of Lance do not survive a fork
    )

    def timed(items: list[int]) -> float:
        order.items = items
        begin = time.perf_counter()
        for _ in loader:
            pass
        return len(items) * size.anchors / (time.perf_counter() - begin)

    timed([-1] * max(1, workers))
    evict(folder)
    batches = list(range(size.batches))
    return timed(batches), timed(batches * WARM_PASSES)


@dataclass(frozen=True)
class Result:
    """Result of one format: bytes per sample, and anchors per second by ``(cold or warm, workers)``."""

    form: Format
    sample_bytes: float
    speed: dict[tuple[str, int], float]


def measure(root: Path, size: Size) -> list[Result]:
    """Measure all installed formats alternately; median of the rounds. The first is the store of this package."""
    forms = [form(dtype) for form in FORMATS if form.installed() for dtype in ("float32", "int16")]
    folders = [root / f"{type(form).__name__}-{form.dtype}" for form in forms]
    for form, folder in zip(forms, folders, strict=True):
        form.write(folder, signals(size))
    taken: list[dict[tuple[str, int], list[float]]] = [{} for _ in forms]
    for round_ in range(size.rounds):
        for workers in size.workers:
            for form, folder, own in zip(forms, folders, taken, strict=True):
                for state, speed in zip(("cold", "warm"), speeds(form, folder, size, workers, round_), strict=True):
                    own.setdefault((state, workers), []).append(speed)
    results = []
    for form, folder, own in zip(forms, folders, taken, strict=True):
        written = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        medians = {key: statistics.median(values) for key, values in own.items()}
        results.append(Result(form, written / size.participants / size.samples, medians))
    return results


def rows(results: list[Result]) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the table; in brackets the ratio to the first row."""
    columns = list(results[0].speed)
    head = ["format", "samples", "bytes per sample", f"TB for {COHORT_DAYS:,} days".replace(",", " ")]
    head += [f"{state}, {workers} workers" for state, workers in columns] + ["from a bucket"]
    body = []
    for result in results:
        terabytes = COHORT_DAYS * 86_400 * RATE * result.sample_bytes / 1e12
        row = [result.form.name, str(result.form.dtype), f"{result.sample_bytes:.2f}", f"{terabytes:.2f}"]
        for column in columns:
            speed = result.speed[column]
            row.append(f"{speed:.0f} ({speed / results[0].speed[column]:.2f})")
        body.append([*row, result.form.in_bucket])
    return head, body


def markdown(head: list[str], body: list[list[str]]) -> list[str]:
    """Lines of a table."""
    return ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *body)]


def machine() -> str:
    """Processor, number of cores, and versions."""
    information = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", information.read_text()) if information.exists() else None
    model = found[1] if found else platform.machine()
    return f"{model}, {os.cpu_count()} cores, {platform.system()}, torch {torch.__version__.split('+')[0]}"


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small run that shows that all works")
    parser.add_argument("--folder", type=Path, help="disk to measure; needs 8 GB, default the system's temporary one")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".md"))
    options = parser.parse_args()
    size = Size(6, 6000, 2, 2, 1, (0,)) if options.quick else Size()
    with tempfile.TemporaryDirectory(dir=options.folder) as root:
        head, body = rows(measure(Path(root), size))
    title = (
        f"Anchors per second (times {Mapped.name} float32), each with {WINDOWS - 1} candidates, in batches of "
        f"{size.anchors}; {size.participants} participants of {size.samples // RATE} s, "
        f"median of {size.rounds}. {machine()}."
    )
    absent = ", ".join(form.name for form in FORMATS if not form.installed())
    lines = [title + (f" Not installed: {absent}." if absent else ""), "", *markdown(head, body)]
    print(*lines, sep="\n")
    options.output.write_text("\n".join(["# Formats of a cohort store", "", *lines]) + "\n")
    print(f"Written to {options.output}")


if __name__ == "__main__":
    main()
