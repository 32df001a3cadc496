"""Networks of another package are built from a checkpoint if, and only if, the user named the package."""

from __future__ import annotations

import logging

import pytest
import torch

from relcon_lightning.cli.pretrain import _tell_foreign
from relcon_lightning.errors import ConfigError
from relcon_lightning.runs.checkpoint import load_encoder
from relcon_lightning.runs.trust import foreign_networks, is_trusted, trust
from tests.runs.test_checkpoint import write

CODE = """
import os
from torch import nn

class Net(nn.Module):
    dim = 4
    def __init__(self, width):
        super().__init__()
        self.linear = nn.Linear(width, 4)
    def forward(self, x):
        return self.linear(x.mean(-1))
"""


@pytest.fixture
def checkpoint(tmp_path, monkeypatch):
    """Of a run with an encoder of the user's own package."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "ownnets.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path / "own")
    weights = torch.nn.Linear(3, 4).state_dict()
    encoder = {"_target_": "ownnets.Net", "width": 3}
    yield write(tmp_path / "own.ckpt", {"encoder": encoder}, {f"encoder.linear.{k}": w for k, w in weights.items()})
    trust([])


def test_a_network_of_another_package_is_built_after_its_package_was_named(checkpoint):
    with pytest.raises(ConfigError, match=r"names 'ownnets\.Net'.*trust=\[mypackage\]"):
        load_encoder(checkpoint)
    trust(["ownnets"])
    assert load_encoder(checkpoint)(torch.zeros(2, 3, 8)).shape == (2, 4)
    trust([])
    with pytest.raises(ConfigError, match="nets are built"):
        load_encoder(checkpoint)


@pytest.mark.parametrize("target", ["ownnets.os.system", "ownnets.nn.Linear", "ownnetsx.Net", "os.system", "ownnets"])
def test_a_trusted_package_is_no_way_to_another_one(target, checkpoint):
    trust(["ownnets"])
    assert not is_trusted(target)


@pytest.mark.parametrize("name", ["ownnets.Missing", "ownnets.deeper.Net"])
def test_a_name_that_is_not_there_is_told(name, checkpoint):
    trust(["ownnets"])
    with pytest.raises(ConfigError, match=r"cannot be imported.*PYTHONPATH"):
        is_trusted(name)


@pytest.mark.parametrize("name", ["os", "subprocess", "builtins", "os.path", "my-package", "", "a..b"])
def test_python_itself_and_what_is_no_package_cannot_be_trusted(name):
    with pytest.raises(ConfigError, match="trust="):
        trust([name])


def test_before_training_it_is_said_what_evaluation_will_need(caplog):
    own = {"_target_": "mine.nets.Net", "stem": {"_target_": "other.Stem"}, "norm": {"_target_": "torch.nn.LayerNorm"}}
    assert foreign_networks([own]) == ["mine.nets.Net", "other.Stem"]
    with caplog.at_level(logging.WARNING):
        _tell_foreign({"model": {"method": {"encoder": {"_target_": "relcon_lightning.nets.small_resnet_1d"}}}})
        assert not caplog.messages
        _tell_foreign({"model": {"method": {"encoder": own}}})
    assert "mine.nets.Net, other.Stem" in caplog.text
    assert "only with trust=[mine,other]" in caplog.text
