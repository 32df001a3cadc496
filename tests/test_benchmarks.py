"""Every part of the benchmark works, checks itself against its reference, and names what it measured."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

import pytest
from rich.console import Console

from benchmarks.growth import exponent, table
from benchmarks.machine import Machine, measure
from benchmarks.material import TOY
from benchmarks.prepare import cost_of
from benchmarks.prepare import run as compare_preparing
from benchmarks.run import COLUMNS, PARTS, cells, title
from benchmarks.run import measure as measure_parts
from benchmarks.timing import Row, Variant, compare


@cache
def machine() -> Machine:
    return measure(side=64, batch=1, rounds=1)


@pytest.mark.parametrize("part", [name for name in PARTS if name != "malloc"])  # it starts ten processes
def test_a_part_runs_at_toy_size(part):
    console = Console(record=True, width=250)
    rows = measure_parts([part], TOY, machine(), console)
    assert len(rows) >= 2
    assert all(row.seconds > 0 for row in rows)
    assert any(row.faster is not None for row in rows)
    text = console.export_text()
    assert rows[0].group in text
    assert rows[-1].name in text


def test_variants_run_in_turn_after_a_warm_up_and_ratios_are_of_items_a_second():
    calls: list[str] = []
    variants = [
        Variant("reference", lambda: calls.append("reference")),
        Variant("ours", lambda: calls.append("ours"), items=3),
    ]
    reference, ours = compare("x", variants, machine(), rounds=2, unit="items/s")
    assert calls == ["reference", "ours"] * 3
    assert reference.faster is None
    assert ours.faster is not None
    assert ours.rate.endswith("items/s")


def test_a_row_has_a_cell_a_column_and_says_nothing_of_what_was_not_measured():
    empty, full = Row("group", "name", 0.5), Row("g", "n", 2.0, 1.5, 3.0, 0.25, 0.1, 12.0, "5 a/s", "same")
    assert cells(empty) == ["group", "name", "500", "", "", "", "", "", "", ""]
    assert cells(full) == ["g", "n", "2000", "1.50", "3", "25%", "10%", "12", "5 a/s", "same"]
    assert len(COLUMNS) == len(cells(full))
    assert "float32" in title(machine())


def test_an_unknown_part_is_named():
    done = subprocess.run([sys.executable, "-m", "benchmarks.run", "lost"], text=True, capture_output=True, check=False)
    assert done.returncode == 2
    assert "there is no part lost; choose from distance, loss" in done.stderr


def test_growth_measures_each_part_and_an_exponent_is_the_slope_in_logarithms():
    assert exponent((10, 20, 40), [3.0, 12.0, 48.0]) == pytest.approx(2)
    rows = table(TOY, {"batch": (16, 32), "time": (16, 32)}).splitlines()[2:]
    assert [row.split("|")[2].strip() for row in rows] == ["encoder, forward and backward", "distances", "loss"] * 2
    arithmetic = [float(row.split("|")[4]) for row in rows]
    assert arithmetic[0] == pytest.approx(1, abs=0.01)  # windows are embedded one by one
    assert 1 < arithmetic[1] < 2  # B (B + c) pairs
    assert arithmetic[5] == 0  # the loss does not see the signal


def test_the_cost_of_a_command_is_that_of_all_its_processes():
    work = "import time; x = bytearray(10**8); end = time.process_time() + 0.4\nwhile time.process_time() < end: pass"
    inner = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {work!r}], check=True)"
    cost = cost_of([sys.executable, "-c", inner])
    assert cost.cpu_s >= 0.2
    assert cost.wall_s >= 0.4
    assert cost.peak_mb > 95
    with pytest.raises(subprocess.CalledProcessError):
        cost_of([sys.executable, "-c", "raise SystemExit(3)"])


def test_preparing_is_compared_between_numbers_of_processes():
    rows = compare_preparing(2, 5.0, [1, 2], 1, ["Axivity"]).splitlines()
    assert [row.split("|")[2] for row in rows[2:]] == [" 1 ", " 2 "]
    assert rows[2].split("|")[4].strip() == "1.00"
