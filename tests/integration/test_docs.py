"""The blocks of the README and of the how-to pages are run one after the other, as a reader would."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from relcon_lightning.data import CohortStore
from tests.conftest import INFO, recordings
from tests.integration.commands import TINY, fork

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("RELCON_SHARED_DATA", ROOT.parent / "shared" / "data"))
# The pages that stand alone. Blocks of the others are composed (tests/test_readme.py): they need GPUs, a cluster or
# hours, and other tests here run their commands in small.
ALONE = ["docs/sweeps", "docs/dashboards"]
# Pages that follow `make pretrain` and `make eval`, which .ci/run runs; those of a group are read one after the other.
AFTER_THE_FIRST_RUNS = [["README", "docs/choices", "docs/publish"], ["docs/own_cohort"]]
ELSEWHERE = re.compile(r"make |pip |torchrun |source |.*\+cluster=slurm")


def blocks(page: str) -> list[tuple[str, str]]:
    return re.findall(r"```(bash|python)\n(.*?)```", (ROOT / f"{page}.md").read_text(), re.S)


def commands(page: str) -> Iterator[tuple[str, str]]:
    """Language, and a command or a block of Python."""
    for language, text in blocks(page):
        if language == "python":
            yield language, text
        else:
            yield from ((language, line) for line in text.splitlines() if line and not ELSEWHERE.match(line))


def small(command: str) -> list[str]:
    return {"relcon-pretrain": TINY, "relcon-eval": ["seeds=[0]"]}.get(command, [])


def follow(page: str, folder: Path) -> None:
    found = list(commands(page))
    assert found
    for language, text in found:
        if language == "python":
            python(text, folder)
        elif text.startswith("eval "):  # the shell's completion
            [line] = re.findall(r"\$\((.*)\)", text)
            assert "complete" in fork(folder, *shlex.split(line))
        else:
            command, *arguments = shlex.split(text, comments=True)
            fork(folder, command, *arguments, *([] if "--cfg" in arguments else small(command)), timeout=1200)


def python(text: str, folder: Path) -> None:
    text = re.sub(r"max_steps=\d+", "max_steps=2", text)
    done = subprocess.run([sys.executable, "-c", text], cwd=folder, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def e4_session(folder: Path) -> None:
    """Half a minute of an Empatica E4 at rest, in 1/64 g at 32 Hz, after its two header lines."""
    folder.mkdir(parents=True)
    lines = ["1600000000.0,1600000000.0,1600000000.0", "32.0,32.0,32.0", *["0,0,64"] * 960]
    (folder / "ACC.csv").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("page", ALONE)
def test_every_block_runs(page, tmp_path):
    CohortStore.write(tmp_path / "data" / "watch", recordings({f"p{i}": [2000] * 4 for i in range(10)}), INFO)
    follow(page, tmp_path)


@pytest.mark.parametrize("pages", AFTER_THE_FIRST_RUNS, ids=lambda pages: pages[0])
@pytest.mark.skipif(not (SHARED / "device_samples").is_dir(), reason="needs the sample file of a real device")
def test_every_block_runs_after_the_first_two_commands(pages, folder, tmp_path):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    shutil.copy(SHARED / "device_samples" / "ax3_sample.cwa", tmp_path / "week.cwa")
    if "docs/own_cohort" in pages:
        e4_session(tmp_path / "sessions" / "S01")
    if "README" in pages:
        python(next(text for language, text in blocks("docs/own_cohort") if language == "python"), tmp_path)
        fork(
            tmp_path, "relcon-eval", "checkpoint=runs/watch/relcon/seed0", "data=watch", *small("relcon-eval")
        )  # make eval
    for page in pages:
        follow(page, tmp_path)


def test_the_files_page_runs_in_a_shell(tmp_path):
    t = np.arange(0, 8, 0.02)
    signal = np.stack([0.2 * np.sin(t), 0 * t, 1 + 0.1 * np.sin(9 * t)], axis=1)
    plain = pd.DataFrame(signal, columns=["x", "y", "z"])
    plain.assign(time=t).to_csv(tmp_path / "walk.csv", index=False)
    ring = pd.DataFrame(9.80665 * signal, columns=["acc x", "acc y", "acc z"])
    ring.assign(clock=t).to_csv(tmp_path / "ring.csv", index=False)
    (tmp_path / "sessions" / "P1").mkdir(parents=True)
    plain.assign(time=t).to_csv(tmp_path / "sessions" / "P1" / "TotalAcceleration.csv", index=False)
    (tmp_path / "sessions" / "P1" / "Gyroscope.csv").write_text("time,x,y,z\n0,0,0,0\n")
    dates = pd.date_range("2024-07-05 09:00", periods=len(t), freq="20ms").strftime("%d/%m/%Y %H:%M:%S.%f")
    plain.assign(time=dates).to_csv(tmp_path / "export.csv", index=False)
    counts = np.column_stack([t, np.round(64 * signal)])
    np.savetxt(tmp_path / "numbers.csv", counts, delimiter=",", fmt=["%.2f", "%d", "%d", "%d"])
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    found = list(commands("docs/files"))
    assert len(found) == 5
    for _, command in found:
        done = subprocess.run(
            ["bash", "-c", f"{command} overwrite=true"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        table = pd.read_parquet(tmp_path / "embeddings.parquet")
        assert len(table) == 3
        if "export.csv" in command:
            assert str(table["start"].iloc[0]) == "2024-07-05 08:00:00+00:00"
