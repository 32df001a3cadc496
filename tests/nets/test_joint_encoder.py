"""Encoders side by side, and their way out of a checkpoint."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from relcon_lightning.errors import ConfigError
from relcon_lightning.nets import JointEncoder, ResNet1d, SpectralNet
from relcon_lightning.nets.base import is_encoder
from relcon_lightning.runs.networks import build, restored

T = 64
SMALL = {
    "_target_": "relcon_lightning.nets.ResNet1d",
    "widths": [4, 8],
    "depths": [1, 1],
    "kernel_sizes": [3, 3],
}
SPECTRAL = {"_target_": "relcon_lightning.nets.SpectralNet", "frame": 48, "dim": 5, "bins": 7}
CONFIG = {"_target_": "relcon_lightning.nets.JointEncoder", "encoders": [SMALL, SPECTRAL]}


class Means(nn.Module):
    """An encoder of another package, which does not say what its shortest window is."""

    dim = 3

    def forward(self, x):
        return x.mean(-1)


class Lagged(nn.Module):
    """Products of samples that are 47 apart, of which a shorter window has none."""

    dim, shortest = 3, 48

    def forward(self, x):
        if x.shape[-1] < self.shortest:
            raise ConfigError(f"Windows of {x.shape[-1]} samples")
        return (x[..., 47:] * x[..., :-47]).mean(-1)


def parts():
    torch.manual_seed(0)
    return [ResNet1d((4, 8), (1, 1), (3, 3)), Means(), SpectralNet(48, 5, 7), Lagged()]


def windows(count=6, steps=T):
    return torch.randn(count, 3, steps, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("train", [True, False])
def test_the_embedding_is_that_of_each_one_after_the_other(train):
    net, x = JointEncoder(parts()).train(train), windows()
    expected = torch.cat([part.train(train)(x) for part in parts()], dim=1)
    assert torch.equal(net(x), expected)
    assert is_encoder(JointEncoder(parts()))
    assert net.dim == expected.shape[1] == 8 + 3 + 5 + 3


@pytest.mark.parametrize("pick", [[0], [1], [2], [3], [0, 2], [2, 3], [3, 1], [0, 1, 2, 3]])
def test_the_shortest_window_is_one_that_all_accept(pick):
    chosen = [parts()[i] for i in pick]
    net = JointEncoder(chosen)
    assert net.shortest == max(getattr(part, "shortest", 1) for part in chosen)
    assert (net.shortest == 48) == (3 in pick)
    assert net.dim == sum((8, 3, 5, 3)[i] for i in pick)
    assert net.eval()(windows(2, net.shortest)).shape == (2, net.dim)


def test_a_window_that_one_refuses_is_refused():
    with pytest.raises(ConfigError, match="Windows of 47 samples"):
        JointEncoder(parts())(windows(2, 47))


def test_all_are_trained_and_saved():
    net = JointEncoder(parts())
    net(windows()).square().sum().backward()
    assert {name.split(".")[1] for name, p in net.named_parameters() if p.grad.abs().sum() > 0} == {"0", "2"}
    again = JointEncoder(parts())
    again.load_state_dict(net.state_dict())
    assert torch.equal(again.eval()(windows()), net.eval()(windows()))


def test_joint_encoders_nest():
    inner, x = JointEncoder(parts()), windows()
    outer = JointEncoder([inner, Means()]).eval()
    assert (outer.dim, outer.shortest) == (22, 48)
    assert torch.equal(outer(x), torch.cat([inner(x), x.mean(-1)], dim=1))


def test_no_encoder_at_all_is_refused():
    with pytest.raises(ConfigError, match=r"encoder\.encoders is empty: give one encoder or more"):
        JointEncoder([])


def test_what_is_no_encoder_is_refused():
    with pytest.raises(ConfigError, match="Flatten cannot be an encoder: it has no attribute dim"):
        JointEncoder([Means(), nn.Flatten()])


def test_it_comes_back_from_its_configuration_and_weights():
    net = build(CONFIG)
    net.train()(windows())
    found = restored(CONFIG, net.state_dict(), "run.ckpt")
    assert isinstance(found, JointEncoder)
    assert [type(part) for part in found.encoders] == [ResNet1d, SpectralNet]
    assert (found.dim, found.shortest, found.training) == (13, net.shortest, False)
    assert torch.equal(found(windows()), net.eval()(windows()))


def test_weights_of_a_part_that_is_missing_are_refused():
    weights = build(CONFIG).state_dict()
    with pytest.raises(ConfigError, match=r"encoders\.1\..* is not in the network"):
        restored(CONFIG | {"encoders": [SMALL]}, weights, "run.ckpt")
    with pytest.raises(ConfigError, match=r"it cannot be built .*is empty"):
        restored(CONFIG | {"encoders": []}, weights, "run.ckpt")


@pytest.mark.parametrize(
    "foreign",
    [
        {"_target_": "os.system", "command": "touch PWNED"},
        {"_target_": "relcon_lightning.nets.JointEncoder", "encoders": [{"_target_": "os.mkdir", "path": "PWNED"}]},
        {"_target_": "hydra.utils.get_method", "path": "os.system"},
        {**SMALL, "widths": "${oc.create:{_target_:os.mkdir,path:PWNED}}"},
        [{"_target_": "os.mkdir", "path": "PWNED"}],
    ],
)
def test_a_part_of_another_package_is_refused_and_not_run(foreign, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = CONFIG | {"encoders": [SMALL, foreign]}
    for make in (build, lambda config: restored(config, build(CONFIG).state_dict(), "run.ckpt")):
        with pytest.raises(ConfigError, match="The checkpoint's configuration"):
            make(config)
    assert not list(tmp_path.iterdir())
