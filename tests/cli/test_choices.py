"""Choices that Hydra would answer with a traceback."""

from __future__ import annotations

import errno
import os
import shutil
import sys

import hydra.core.utils
import pytest

from relcon_lightning.cli import commands
from relcon_lightning.cli.app import config_folder
from relcon_lightning.cli.choices import checked
from relcon_lightning.errors import ConfigError


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["logger=null", "callbacks=null"], ["~logger", "~callbacks"]),
        (["logger=", "model=simclr,byol", "-m"], ["~logger", "model=simclr,byol", "-m"]),
        (
            ["trainer=cpu", "view=null", "callbacks.pictures=null"],
            ["trainer=cpu", "view=null", "callbacks.pictures=null"],
        ),
        (["+cluster=slurm", "--help"], ["+cluster=slurm", "--help"]),
    ],
)
def test_groups_that_a_run_can_do_without_are_left_out(words, expected):
    assert checked(config_folder(), words) == expected


@pytest.mark.parametrize(
    ("word", "named"),
    [
        ("model=base", "distance, mae, rebar, relcon"),
        ("model=null", "relcon"),
        ("model=simclr,base", "relcon"),
        ("encoder=null", "resnet18, resnet34, small"),
        ("data=base", "watch"),
        ("trainer=base", "ddp_8xa100"),
        ("trainer=", "cpu"),
    ],
)
def test_what_is_no_choice_is_answered_with_those_there_are(word, named):
    with pytest.raises(ConfigError, match=r"is not a choice: set \w+= to one of") as raised:
        checked(config_folder(), [word])
    assert named in str(raised.value)


@pytest.mark.parametrize(
    ("word", "listed"), [("model=simclrr", "simclr"), ("data=wach", "watch"), ("model=bas", "mae")]
)
def test_a_part_of_others_is_neither_listed_nor_suggested(word, listed, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["relcon-pretrain", word])
    monkeypatch.setattr(sys, "gettrace", lambda: None)
    with pytest.raises(SystemExit) as end:
        commands.pretrain()
    assert end.value.code == 1
    words = "".join(capsys.readouterr()).split()
    assert listed in words
    assert "base" not in words
    assert "model=base?" not in words


@pytest.mark.parametrize(("group", "choice"), [("model", "simclr"), ("data", "watch"), ("trainer", "cpu")])
def test_tab_completion_offers_no_part_of_others(group, choice, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COMP_LINE", f"relcon-pretrain {group}=")
    monkeypatch.setattr(sys, "argv", ["relcon-pretrain", "-sc", "query=bash"])
    commands.pretrain()
    offered = capsys.readouterr().out.split()
    assert f"{group}={choice}" in offered
    assert f"{group}=base" not in offered


@pytest.mark.parametrize("word", ["+cluster=slurm", "hydra/launcher=submitit_slurm"])
def test_slurm_is_asked_for_where_it_is(word, monkeypatch):
    with pytest.raises(ConfigError, match="add -m"):
        checked(config_folder(), [word])
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ConfigError, match="no srun"):
        checked(config_folder(), ["-m", word])
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/srun")
    assert checked(config_folder(), ["-m", word]) == ["-m", word]


@pytest.mark.parametrize("sweep", [[], ["-m"]])
def test_a_value_that_is_not_there_is_named_in_a_line(monkeypatch, capsys, caplog, tmp_path, sweep):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["relcon-pretrain", "model=simclr", "paths.runs=${nope}", *sweep])
    with pytest.raises(SystemExit) as end:
        commands.pretrain()
    assert end.value.code == 2
    said = "".join(capsys.readouterr()) + caplog.text
    assert "'nope' not found" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("sweep", [[], ["-m"]])
def test_a_folder_that_cannot_be_written_to_is_named_in_a_line(monkeypatch, capsys, caplog, tmp_path, sweep):
    monkeypatch.chdir(tmp_path)
    place = "paths.runs=/sys/nothing" if sys.platform == "linux" else "paths.runs=/System/nothing"
    monkeypatch.setattr(sys, "argv", ["relcon-pretrain", "model=simclr", place, *sweep])
    with pytest.raises(SystemExit) as end:
        commands.pretrain()
    assert end.value.code == 2
    said = "".join(capsys.readouterr()) + caplog.text
    assert "nothing" in said
    assert "choose another folder" in said
    assert "Traceback" not in said


def test_a_disk_that_is_full_at_the_start_is_named_in_a_line(monkeypatch, capsys, caplog, tmp_path):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(hydra.core.utils, "_save_config", full)
    monkeypatch.setattr(sys, "argv", ["relcon-pretrain", "model=simclr"])
    with pytest.raises(SystemExit) as end:
        commands.pretrain()
    assert end.value.code == 2
    said = "".join(capsys.readouterr()) + caplog.text
    assert "No space left on device. Make room on the disk" in said
    assert "Traceback" not in said
