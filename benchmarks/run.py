"""Time each part alternately with a plain reference. The ratios stay valid if the machine's speed drifts.

``make bench`` measures all parts, prints the table and writes ``benchmarks/latest.md``; ``python -m benchmarks.run loss
encoder`` measures some parts and only prints. The results of both are compared before they are timed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import machine as machines
from benchmarks.machine import Machine
from benchmarks.material import TOY, Size
from benchmarks.parts import augmentation, distance, embedding, encoder, loading, loss, malloc, scheme, step
from benchmarks.timing import Row

PARTS: dict[str, Callable[[Size, Machine], list[Row]]] = {
    "distance": distance.rows,
    "loss": loss.rows,
    "encoder": encoder.rows,
    "step": step.rows,
    "scheme": scheme.rows,
    "augmentation": augmentation.rows,
    "loading": loading.rows,
    "embedding": embedding.rows,
    "malloc": malloc.rows,
}
COLUMNS = ("part", "variant", "ms", "times faster", "GFLOP", "of ceiling", "in kernel", "peak MB", "rate", "agreement")


def cells(row: Row) -> list[str]:
    """Cells of a row as text; empty if a value was not measured."""

    def shown(value: float | None, form: str) -> str:
        return "" if value is None else format(value, form)

    return [
        row.group,
        row.name,
        f"{1000 * row.seconds:.3g}" if row.seconds < 1 else f"{1000 * row.seconds:.0f}",
        shown(row.faster, ".2f"),
        shown(row.gflop, ".3g"),
        shown(row.ceiling, ".0%"),
        shown(row.kernel, ".0%"),
        shown(row.peak_mb, ".0f"),
        row.rate,
        row.agreement,
    ]


def title(machine: Machine) -> str:
    """The machine and its peak speeds."""
    reached = ", ".join(
        f"{str(dtype).removeprefix('torch.')} {machine.ceiling(dtype) / 1e9:.0f} GFLOP/s" for dtype in machine.products
    )
    return f"{machine.name}; at most {reached}"


def measure(names: Sequence[str], size: Size, machine: Machine, console: Console) -> list[Row]:
    """Measure some parts, and print each one when it is finished."""
    found: list[Row] = []
    for name in names:
        begin = time.perf_counter()
        rows = PARTS[name](size, machine)
        table = Table(*COLUMNS, title=f"{name}, measured in {time.perf_counter() - begin:.0f} s", title_justify="left")
        for row in rows:
            table.add_row(*cells(row))
        console.print(table)
        found += rows
    return found


def main() -> None:
    """Measure, print, and write the table if all parts were measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"some of {', '.join(PARTS)}; all if none is named")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that all works, not how fast")
    options = parser.parse_args()
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}; choose from {', '.join(PARTS)}")
    console = Console(width=None if Console().is_terminal else 200)
    machine = machines.measure(side=256, batch=2, rounds=2) if options.quick else machines.measure()
    console.print(title(machine))
    rows = measure(options.parts or list(PARTS), TOY if options.quick else Size(), machine, console)
    if options.parts or options.quick:
        return
    path = Path(__file__).parent / "latest.md"
    lines = ["# Each part compared with a plain reference", "", title(machine), ""]
    lines += ["| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|"]
    lines += ["| " + " | ".join(cells(row)) + " |" for row in rows]
    path.write_text("\n".join(lines) + "\n")
    print(f"Written to {path}")


if __name__ == "__main__":
    main()
