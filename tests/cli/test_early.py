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
    parquet.write_table(pa.table({"x": [1]}), tmp_path / "full.parquet")
    before = sorted(tmp_path.rglob("*"))
    assert message in refused(command, *arguments, folder=tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_run_in_the_folder_is_reported_and_kept(tmp_path):
    checkpoint = tmp_path / "runs" / "watch" / "simclr" / "seed0" / "checkpoints" / "last.ckpt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    assert "already contains a run" in refused("pretrain", "model=simclr", folder=tmp_path)
    assert checkpoint.exists()


def test_an_output_that_left_out_recordings_can_be_completed(tmp_path):
    schema = pa.schema([("x", pa.int64())], metadata={b"relcon_lightning_incomplete": b"true"})
    parquet.write_table(pa.table({"x": [1]}, schema), tmp_path / "part.parquet")
    parquet.write_table(pa.table({"x": [1]}), tmp_path / "whole.parquet")
    (tmp_path / "text.parquet").write_text("no table")
    assert is_incomplete(tmp_path / "part.parquet")
    assert not is_incomplete(tmp_path / "whole.parquet")
    assert not is_incomplete(tmp_path / "text.parquet")
