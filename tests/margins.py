"""Measure the margins between trained values in tests and their bounds, over seeds and instruction sets.

A test that trains takes its seed from the fixture ``training_seed`` and compares by :func:`assert_above` or
:func:`assert_below`. ``python -m tests.margins`` runs these tests with five seeds and the instruction sets of three
kinds of processor, then with an optimizer that does nothing and with one that climbs, and prints the results. It
exits with 1 if a bound fails, or if a test passes with a wrong optimizer.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from torch.optim.optimizer import Optimizer, register_optimizer_step_pre_hook
from torch.utils.hooks import RemovableHandle

SEED, THREADS, FILE, WRONG = (f"RELCON_TEST_{name}" for name in ("SEED", "THREADS", "MARGINS", "WRONG"))
PROCESSORS: dict[str, dict[str, str]] = {  # environment variables of PyTorch, oneDNN, MKL and OpenBLAS
    "sse": {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
        "OPENBLAS_CORETYPE": "Nehalem",
    },
    "avx2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
    },
    "native": {},
}
WRONG_OPTIMIZERS: dict[str, dict[str, Any]] = {"untrained": {"lr": 0.0}, "reversed": {"maximize": True}}


def assert_above(value: float, bound: float, name: str) -> None:
    """Assert ``value > bound``, and write both to the file that ``RELCON_TEST_MARGINS`` names, if it is set."""
    _record(float(value), float(bound), name, above=True)


def assert_below(value: float, bound: float, name: str) -> None:
    """Assert ``value < bound``, and write both to the file that ``RELCON_TEST_MARGINS`` names, if it is set."""
    _record(float(value), float(bound), name, above=False)


def _record(value: float, bound: float, name: str, *, above: bool) -> None:
    wrong = os.environ.get(WRONG, "")
    if FILE in os.environ:
        row = {
            "test": os.environ["PYTEST_CURRENT_TEST"].split(" ")[0],
            "name": name,
            "value": value,
            "bound": bound,
            "above": above,
            "wrong": wrong,
            "seed": seed(),
        }
        with Path(os.environ[FILE]).open("a") as file:
            file.write(json.dumps(row) + "\n")
    if not wrong:  # with a wrong optimizer, compare all bounds of a test, not only those up to the first failure
        assert holds(value, bound, above=above), f"{name}: {value} against a bound of {bound}"


def holds(value: float, bound: float, *, above: bool) -> bool:
    return value > bound if above else value < bound


def seed() -> int:
    return int(os.environ.get(SEED, "0"))


def pytest_configure() -> None:
    """Make every optimizer wrong if ``RELCON_TEST_WRONG`` is set."""
    if WRONG in os.environ:
        spoil_optimizers(os.environ[WRONG])


def spoil_optimizers(wrong: str) -> RemovableHandle:
    """Make each step of any optimizer do nothing (``untrained``) or climb (``reversed``)."""

    def spoil(optimizer: Optimizer, *_: object) -> None:
        for group in optimizer.param_groups:
            group.update(WRONG_OPTIMIZERS[wrong])

    return register_optimizer_step_pre_hook(spoil)


def run(file: Path, processor: str, seed: int, threads: int, wrong: str, tests: list[str]) -> None:
    """Run the tests that train in a separate process, because libraries choose the instruction set when they load."""
    own = {SEED: str(seed), THREADS: str(threads), FILE: str(file.resolve())} | ({WRONG: wrong} if wrong else {})
    print(f"{processor}, {threads} threads, seed {seed}{', ' + wrong if wrong else ''}", file=sys.stderr, flush=True)
    subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.margins", "-m", "margins", "--tb=line", "-W", "ignore", *tests],
        env=os.environ | PROCESSORS[processor] | own,
        stdout=sys.stderr,
        check=False,
    )


def table(rows: list[dict[str, Any]]) -> tuple[str, list[str]]:
    """Markdown table of the measured values, and a list of faults."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row["test"], row["name"]].append(row)
    lines = ["| Test | Value | Bound | Found | Untrained | Reversed |", "| --- | --- | --- | --- | --- | --- |"]
    held: dict[tuple[str, str, int], list[bool]] = defaultdict(list)  # by test, optimizer and seed
    faults = []
    for (test, name), own in found.items():
        side = ">" if own[0]["above"] else "<"
        cells = []
        right = {row["value"] for row in own if not row["wrong"]}
        for wrong in ("", *WRONG_OPTIMIZERS):
            some = [row for row in own if row["wrong"] == wrong]
            values = [row["value"] for row in some]
            cells.append(f"{min(values):.3g} to {max(values):.3g}" if values else "")
            held_here = [holds(row["value"], row["bound"], above=row["above"]) for row in some]
            if wrong and not right.issuperset(values):  # otherwise PyTorch trains nothing in this test
                for row, one in zip(some, held_here, strict=True):
                    held[test, wrong, row["seed"]].append(one)
            if not wrong and not all(held_here):
                faults.append(f"{test}: {name} is {cells[0]}, not {side} {own[0]['bound']}")
        lines.append(f"| {test} | {name} | {side} {own[0]['bound']:.3g} | {' | '.join(cells)} |")
    faults += [f"{test} passes {wrong}, seed {seed}" for (test, wrong, seed), those in held.items() if all(those)]
    return "\n".join(lines), faults


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tests", nargs="*", help="files or tests (all)")
    parser.add_argument("--file", type=Path, default=Path("build/margins.jsonl"), help="results; runs are appended")
    parser.add_argument("--seeds", type=int, nargs="*", default=range(5))
    parser.add_argument("--processors", nargs="*", choices=PROCESSORS, default=[*PROCESSORS])
    parser.add_argument("--threads", type=int, nargs="*", default=[1])
    parser.add_argument("--wrong", nargs="*", choices=WRONG_OPTIMIZERS, default=[*WRONG_OPTIMIZERS])
    parser.add_argument("--table", action="store_true", help="print the table of earlier runs")
    asked = parser.parse_args()
    if not asked.table:
        asked.file.parent.mkdir(parents=True, exist_ok=True)
        for processor in asked.processors:
            for threads in asked.threads:
                for number in asked.seeds:
                    run(asked.file, processor, number, threads, "", asked.tests)
        for wrong in asked.wrong:
            for number in asked.seeds:
                run(asked.file, "native", number, 1, wrong, asked.tests)
    text, faults = table([json.loads(line) for line in asked.file.read_text().splitlines()])
    print(text)
    sys.exit("\n".join(faults) or 0)


if __name__ == "__main__":
    main()
