"""The pages about adding a method and a data set: their steps are executed as they are written."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from relcon_lightning.data import CohortStore
from tests.conftest import INFO, recordings
from tests.integration.commands import TINY, run
from tests.integration.test_docs import python

ROOT = Path(__file__).parents[2]
SMALL = {"relcon-pretrain": TINY, "relcon-eval": ["seeds=[0]"]}
FILE = re.compile(r"# (\S+\.(?:py|yaml))\n")


def follow(page: str, folder: Path) -> list[str]:
    """Write the files of the page, run its programs and commands in order, and return the files."""
    files = []
    for language, text in re.findall(
        r"```(bash|python|yaml)\n(.*?)```", (ROOT / "docs" / f"{page}.md").read_text(), re.S
    ):
        if named := FILE.match(text):
            path = folder / named[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            files.append(named[1])
        elif language == "python":
            python(text, folder)
        else:
            variables = dict(re.findall(r"^export (\w+)=(.+)$", text, re.M))
            for line in text.splitlines():
                if line.startswith("relcon-"):
                    command, *arguments = shlex.split(line, comments=True)
                    run(folder, command, *arguments, *SMALL.get(command, []), variables=variables, timeout=600)
    return files


def test_a_method_is_added_in_two_files(tmp_path):
    CohortStore.write(tmp_path / "data" / "watch", recordings({f"p{i}": [2000] * 4 for i in range(10)}), INFO)
    assert follow("add_method", tmp_path) == ["ideas/reversal.py", "ideas/model/reversal.yaml"]
    metrics = (tmp_path / "runs" / "watch" / "reversal" / "seed0" / "csv" / "metrics.csv").read_text()
    assert "train/accuracy" in metrics.splitlines()[0]
    assert "reversal" in next((tmp_path / "reports").rglob("report.md")).read_text()


def test_a_data_set_is_added_in_three_files(tmp_path):
    made = follow("add_data", tmp_path)
    assert made == ["sets/numpy_files.py", "sets/data/numpy_files.yaml", "sets/task/numpy_files.yaml"]
    store = CohortStore.open(tmp_path / "data" / "numpy_files")
    assert len(store.participants) == 9
    assert set(store.segments["label"]) == {"walk", "run"}
    assert "Walking or running" in next((tmp_path / "reports").rglob("report.md")).read_text()


@pytest.mark.parametrize("page", ["add_method", "add_data"])
def test_the_places_that_the_pages_name_exist(page):
    text = (ROOT / "docs" / f"{page}.md").read_text()
    for place in re.findall(r"`((?:src|conf|tests)/[\w/.]+)`", text):
        if "MODULE" not in place:
            assert (ROOT / place).exists(), place
    assert "METHODS = [" in (ROOT / "tests" / "methods" / "test_every_method.py").read_text()
