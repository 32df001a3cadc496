"""The programs of the tutorials run. They are shortened here; ``make docs`` runs them as they are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TUTORIALS = Path(__file__).parents[1] / "docs" / "tutorials"
SHORTER = {
    "embed_a_week": {"RATE = 50 ": "RATE = 5 ", "stride_s=30": "stride_s=600", "perplexity=40": "perplexity=5"},
    "train_and_evaluate": {
        "Compilation()": "Compilation(False)",
        "by_distance=24": "by_distance=8",
        "steps=60": "steps=2",
        "steps=40": "steps=2",
        "[:32]": "[:8]",
        "pairs=8": "pairs=2",
        "seeds=[0, 1, 2]": "seeds=[0]",
    },
}


def test_every_tutorial_is_run():
    assert SHORTER.keys() == {path.stem for path in TUTORIALS.glob("*.py")}


@pytest.mark.integration
@pytest.mark.parametrize("name", SHORTER)
def test_a_tutorial_runs(name, tmp_path):
    program = (TUTORIALS / f"{name}.py").read_text()
    for long, short in SHORTER[name].items():
        assert program.count(long) >= 1, f"{name} no longer has {long}"
        program = program.replace(long, short)
    program += "\nprint(len(plt.get_fignums()), 'figures')\n"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "MPLBACKEND": "Agg", "TMPDIR": str(tmp_path)},
        text=True,
        capture_output=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout.splitlines()[-1].split()[0]) >= 2
