"""Options and overrides may be in any order."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relcon_lightning.cli.order import options_first

OVERRIDES = ["model=simclr", "+open_wrist=relcon", "~logger", "trainer.max_steps=3", "from_run=a b"]
OPTIONS = [["--config-dir", "a=b"], ["--cfg", "job"], ["-m"], ["--config-dir=folder"], ["--resolve"], ["-cd", "-x"]]


@given(st.lists(st.sampled_from(OVERRIDES)), st.permutations(OPTIONS), st.data())
def test_options_come_first_and_nothing_else_changes(overrides, options, data):
    pieces = [[word] for word in overrides]
    for option in options:
        pieces.insert(data.draw(st.integers(0, len(pieces))), option)
    found = options_first([word for piece in pieces for word in piece])
    assert found[len(found) - len(overrides) :] == overrides
    assert found[: len(found) - len(overrides)] == [word for piece in pieces if piece in OPTIONS for word in piece]


@pytest.mark.parametrize("words", [[], ["model=simclr"], ["--help"], ["--info", "defaults", "model=simclr"], ["-m"]])
def test_what_is_in_order_stays(words):
    assert options_first(words) == words


def test_a_command_takes_overrides_after_options(tmp_path):
    (tmp_path / "trial").mkdir()
    (tmp_path / "trial" / "short.yaml").write_text("# @package _global_\nname: short\n")
    words = ["trainer=gpu", "--config-dir", str(tmp_path), "+trial=short", "--cfg", "job"]
    program = Path(sys.executable).with_name("relcon-pretrain")
    run = subprocess.run([program, *words, "seed=7"], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert {"name: short", "seed: 7", "  accelerator: gpu"} <= set(run.stdout.splitlines())
