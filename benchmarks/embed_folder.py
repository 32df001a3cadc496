"""Embed a folder of many small files with 0, 1, 2 ... reading processes, and measure files per second.

``python -m benchmarks.embed_folder`` writes 10,000 CSV files of half a minute, embeds them with each number of
processes in turn, compares the bytes of the outputs, and prints a table. The encoder is ``open-wrist-small``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.machine import name
from benchmarks.prepare import Cost, cost_of, write_tables
from relcon_lightning.data.store.manifest import checksum


def embedded(raw: Path, output: Path, workers: int) -> Cost:
    """Cost of embedding a folder."""
    program = str(Path(sys.executable).with_name("relcon-embed"))
    return cost_of(
        [program, "checkpoint=open-wrist-small", f"input={raw}", f"output={output}", f"num_workers={workers}"]
    )


def run(files: int, seconds: float, workers: list[int]) -> str:
    """Create the table; each number of processes is compared with the first one."""
    lines = [
        "| files | processes that read | time, s | files per second | ratio | processor time, s | memory, MB |",
        "|---|---|---|---|---|---|---|",
    ]
    found: list[tuple[Cost, str]] = []
    with tempfile.TemporaryDirectory() as folder:
        (raw := Path(folder) / "raw").mkdir()
        write_tables(raw, files, seconds)
        for count in workers:
            output = Path(folder) / f"{count}.parquet"
            found.append((embedded(raw, output, count), checksum(output)))
    assert len({digest for _, digest in found}) == 1, "the output depends on the number of processes"
    for count, (cost, _) in zip(workers, found, strict=True):
        ratio = found[0][0].wall_s / cost.wall_s
        lines.append(
            f"| {files} CSV files of {seconds:g} s | {count} | {cost.wall_s:.1f} | {files / cost.wall_s:.0f} "
            f"| {ratio:.2f} | {cost.cpu_s:.1f} | {cost.peak_mb:.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=30, help="length of each recording")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    print(run(options.files, options.seconds, options.workers))
    print(name())


if __name__ == "__main__":
    main()
