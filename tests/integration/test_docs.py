"""The blocks of the how-to pages are run one after the other, as a reader would."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from relcon_lightning.data import CohortStore
from tests.conftest import INFO, recordings
from tests.integration.commands import TINY, run

pytestmark = pytest.mark.integration

DOCS = Path(__file__).parents[2] / "docs"
# The pages that stand alone. Blocks of the others are composed (tests/test_readme.py): they need GPUs, a cluster or
# hours, and test_ranks.py, test_resume.py and test_experiments.py run their commands in small.
PAGES = ["own_cohort", "sweeps", "dashboards"]


def blocks(page: str) -> list[tuple[str, str]]:
    return re.findall(r"```(bash|python)\n(.*?)```", (DOCS / f"{page}.md").read_text(), re.S)


def small(command: str) -> list[str]:
    return {"relcon-pretrain": [*TINY, "compile=false"], "relcon-eval": ["seeds=[0]"]}.get(command, [])


@pytest.mark.parametrize("page", PAGES)
def test_every_block_runs(page, tmp_path):
    CohortStore.write(tmp_path / "data" / "watch", recordings({f"p{i}": [2000] * 4 for i in range(10)}), INFO)
    assert blocks(page)
    for language, text in blocks(page):
        if language == "python":
            done = subprocess.run(
                [sys.executable, "-c", text], cwd=tmp_path, text=True, capture_output=True, check=False
            )
            assert done.returncode == 0, done.stderr
            continue
        for line in text.splitlines():
            if line.startswith("eval "):  # the shell's completion
                [line] = re.findall(r"\$\((.*)\)", line)
                assert "complete" in run(tmp_path, *shlex.split(line))
                continue
            command, *arguments = shlex.split(line, comments=True)
            shown = "--cfg" in arguments
            run(tmp_path, command, *arguments, *([] if shown else small(command)))
