"""A mistyped key or choice is answered with the nearest one that exists."""

from __future__ import annotations

import sys

import pytest

from relcon_lightning.cli import pretrain
from relcon_lightning.cli.app import config_folder
from relcon_lightning.cli.suggest import suggestions


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
    with pytest.raises(SystemExit) as end:
        pretrain.main()
    assert end.value.code == 1
    said = capsys.readouterr().err
    assert "Could not override 'trainer.max_step'" in said
    assert said.endswith("Did you mean trainer.max_steps=3?\n")
    assert not list(tmp_path.iterdir())
