"""A mistyped key or choice is answered with the nearest one that exists."""

from __future__ import annotations

import sys

import pytest

from relcon_lightning.cli import commands
from relcon_lightning.cli.app import config_folder
from relcon_lightning.cli.suggest import suggestions
from relcon_lightning.errors import ConfigError, nearest_path
from relcon_lightning.runs.checkpoint import Checkpoint


@pytest.mark.parametrize(
    ("entry", "words", "meant"),
    [
        ("pretrain", ["model=relcom"], ["model=relcon"]),
        ("pretrain", ["model=distance", "trainer.max_step=3"], ["trainer.max_steps=3"]),
        ("pretrain", ["trainr.max_steps=3"], ["trainer.max_steps=3"]),
        ("pretrain", ["max_steps=3"], ["trainer.max_steps=3"]),  # a key of that name is elsewhere
        ("pretrain", ["modl=simclr"], ["model=simclr"]),
        ("pretrain", ["model=distance,simcrl", "data=wach"], ["model=simclr", "data=watch"]),
        ("pretrain", ["model.byol_thing=1"], []),
        ("pretrain", ["model=relcon", "seed=1", "-m", "+mine=2", "~logger", "trainer=cpu"], []),
        ("pretrain", ["model=zzzzzz", "zzzzzz=1"], []),
        ("pretrain", ["model=mae", "model.method.share=0.3", "model.method.pach=8"], ["model.method.patch=8"]),
        ("eval", ["prob=mlp", "checkpont=x"], ["probe=mlp", "checkpoint=x"]),
        ("embed", ["strides=1"], ["stride_s=1"]),
    ],
)
def test_the_nearest_name_is_found(entry, words, meant):
    assert suggestions(config_folder(), entry, words) == meant


def test_the_command_says_it_after_hydras_own_words(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["relcon-pretrain", "trainer.max_step=3"])
    monkeypatch.setattr(sys, "gettrace", lambda: None)  # Hydra shows a debugger, and so a tracer of coverage, all
    with pytest.raises(SystemExit) as end:
        commands.pretrain()
    assert end.value.code == 1
    said = capsys.readouterr().err
    assert "Could not override 'trainer.max_step'" in said
    assert said.endswith("Did you mean trainer.max_steps=3?\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("asked", "suggested"),
    [
        ("runs/watch/relcom/seed0", "runs/watch/relcon/seed0"),
        ("run/watch/relcon/seed0", "runs/watch/relcon/seed0"),
        ("runs/watch/relcon/seed00", "runs/watch/relcon/seed0"),
        ("elsewhere", None),
        ("runs/watch/relcon/seed0", None),
        ("runs/file/below", None),
    ],
)
def test_the_nearest_path_is_one_with_another_name_where_it_stops(tmp_path, monkeypatch, asked, suggested):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "watch" / "relcon" / "seed0").mkdir(parents=True)
    (tmp_path / "runs" / "file").touch()
    assert nearest_path(asked) == (f" (did you mean {suggested!r}?)" if suggested else "")


def test_a_checkpoint_that_is_not_there_is_answered_with_the_run_that_is(tmp_path):
    (tmp_path / "relcon").mkdir()
    with pytest.raises(
        ConfigError, match=r"relcom.* \(did you mean '.*/relcon/checkpoints/last\.ckpt'\?\)\. Train one"
    ):
        Checkpoint.read(tmp_path / "relcom" / "checkpoints" / "last.ckpt")
