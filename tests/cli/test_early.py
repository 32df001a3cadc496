"""Mistakes that need no torch are reported before it is imported, and leave no output folder."""

from __future__ import annotations

import subprocess
import sys

import pyarrow as pa
import pytest
from pyarrow import parquet

from relcon_lightning.embed.output import is_incomplete

SCRIPT = """
import sys
from relcon_lightning.cli import commands
sys.argv = ["relcon", *sys.argv[2:]]
try:
    getattr(commands, {command!r})()
finally:
    print("torch" in sys.modules)
"""


def refused(command, *arguments, folder):
    """What a command says that ends with a mistake, without having imported torch."""
    script = SCRIPT.format(command=command)
    done = subprocess.run(
        [sys.executable, "-c", script, command, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 2, said
    assert "False" in done.stdout.splitlines(), said
    assert "Traceback" not in said
    return said


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [
        ("pretrain", ["model=relcon"], "model.distance_checkpoint must be given"),
        ("pretrain", ["model=relcon", "model.distance_checkpoint=runs/no"], "There is no checkpoint at runs/no"),
        (
            "pretrain",
            ["model=rebar", "model.distance_checkpoint=taken"],
            "no checkpoint at taken/checkpoints/last.ckpt",
        ),
        ("evaluate", ["checkpoint=runs/no"], "There is no checkpoint at runs/no"),
        ("evaluate", ["checkpoint=[open-wrist-small,runs/no]"], "There is no checkpoint at runs/no"),
        ("evaluate", ["checkpoint=[]"], "checkpoint= is empty"),
        ("evaluate", ["checkpoint=open-wrist-small", "seeds=[0,0]"], "seeds=[0, 0]: expected different whole numbers"),
        ("evaluate", ["checkpoint=open-wrist-small", "seeds=3"], "seeds=3: expected different whole numbers"),
        ("evaluate", ["checkpoint=open-wrist-small", "bootstrap=maybe"], "bootstrap=maybe: expected true or false"),
        ("evaluate", ["checkpoint=open-wrist-small", "name=../x"], "name=../x: expected a name"),
        ("evaluate", ["checkpoint=open-wrist-small", "+task.overlap=nan"], "task.overlap=nan: expected a finite"),
        ("pretrain", ["model=simclr", "name="], "name=: expected a name, which becomes"),
        ("pretrain", ["model=simclr", "name=null"], "name=null: expected a name"),
        ("pretrain", ["model=simclr", "folder=."], "folder=.: expected a folder for the output alone, not"),
        ("pretrain", ["model=simclr", "folder=full.parquet/x"], "Not a directory"),
        ("pretrain", ["model=simclr", "seed=-1"], "seed=-1: expected a whole number"),
        ("pretrain", ["model=simclr", "seed=1.5"], "seed=1.5: expected a whole number"),
        ("pretrain", ["model=simclr", "trainer.max_steps=0"], "trainer.max_steps=0: expected a whole number above 0"),
        ("pretrain", ["model=simclr", "trainer.max_steps=abc"], "trainer.max_steps=abc: expected a whole number"),
        ("pretrain", ["model=simclr", "model.learning_rate=nan"], "model.learning_rate=nan: expected a finite number"),
        ("pretrain", ["model=simclr", "data.window_s=inf"], "data.window_s=inf: expected a finite number"),
        ("export", ["checkpoint=open-wrist-small", "to=mine", "overwrite=true"], "mine is not an exported encoder"),
        ("export", ["checkpoint=open-wrist-small", "to=.", "overwrite=true"], "to=. is the folder of the command"),
        ("export", ["checkpoint=open-wrist-small", "to=full.parquet", "overwrite=true"], "is not an exported encoder"),
        ("export", ["checkpoint=open-wrist-small", "to="], "to= is empty"),
        ("export", ["checkpoint=runs/no", "to=new"], "There is no checkpoint at runs/no"),
        ("export", ["checkpoint=open-wrist-small", "to=taken"], "taken exists: choose another to="),
        ("embed", ["checkpoint=open-wrist-smal", "input=taken"], "There is no checkpoint at open-wrist-smal"),
        ("embed", ["checkpoint=open-wrist-small", "input=takn"], "at takn (did you mean 'taken'?)"),
        ("embed", ["checkpoint=open-wrist-small"], "input must be given"),
        (
            "embed",
            ["checkpoint=open-wrist-small", "input=taken", "output=full.parquet"],
            "full.parquet exists: choose another output=",
        ),
    ],
)
def test_a_mistake_is_reported_without_torch_and_leaves_nothing(tmp_path, command, arguments, message):
    (tmp_path / "taken").mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    parquet.write_table(pa.table({"x": [1]}), tmp_path / "full.parquet")
    before = sorted(tmp_path.rglob("*"))
    assert message in refused(command, *arguments, folder=tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "name", ["checkpoints/last.ckpt", "checkpoints/step=2.ckpt", ".replaced/checkpoints/last.ckpt"]
)
def test_a_run_in_the_folder_is_reported_and_kept(tmp_path, name):
    checkpoint = tmp_path / "runs" / "watch" / "simclr" / "seed0" / name
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    assert "already contains a run" in refused("pretrain", "model=simclr", folder=tmp_path)
    assert checkpoint.exists()


def test_a_folder_with_something_else_is_not_used_for_a_run(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    said = refused("pretrain", "model=simclr", "folder=mine", "overwrite=true", folder=tmp_path)
    assert "mine contains 'thesis.txt' and no run" in said


def test_an_output_that_left_out_recordings_can_be_completed(tmp_path):
    schema = pa.schema([("x", pa.int64())], metadata={b"relcon_lightning_incomplete": b"true"})
    parquet.write_table(pa.table({"x": [1]}, schema), tmp_path / "part.parquet")
    parquet.write_table(pa.table({"x": [1]}), tmp_path / "whole.parquet")
    (tmp_path / "text.parquet").write_text("no table")
    assert is_incomplete(tmp_path / "part.parquet")
    assert not is_incomplete(tmp_path / "whole.parquet")
    assert not is_incomplete(tmp_path / "text.parquet")
