"""Networks of other packages: what they need, and the message where they lack it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from relcon_lightning.errors import ConfigError
from relcon_lightning.methods import Rebar, RelCon, SimCLR
from relcon_lightning.methods.supervised import Supervised
from relcon_lightning.nets import ConvNet, LSTMNet, MotifDistance, SpectralDistance, small_resnet_1d
from relcon_lightning.nets.base import is_distance, is_encoder


class Means(nn.Module):
    """A distance of another package."""

    unit = "g"

    def pairwise(self, anchors, candidates):
        return (anchors.mean(-1)[:, None] - candidates.mean(-1)).abs().sum(-1)

    def in_batch(self, anchors):
        return self.between(anchors, anchors)

    def between(self, anchors, candidates):
        return (anchors.mean(-1)[:, None] - candidates.mean(-1)).abs().sum(-1)

    def to_some(self, anchors, candidates, columns):
        return self.between(anchors, candidates).gather(1, columns)


class OnlyBetween(nn.Module):
    """Half a distance."""

    between, in_batch = Means.between, Means.in_batch


@pytest.mark.parametrize("net", [small_resnet_1d(), ConvNet(), LSTMNet(), torch.compile(small_resnet_1d())], ids=type)
def test_a_network_with_the_size_of_its_embedding_is_an_encoder(net):
    assert is_encoder(net)
    assert not is_distance(net)


@pytest.mark.parametrize("method", [SimCLR, lambda net: RelCon(net, Means()), lambda net: Supervised(net, classes=2)])
def test_an_encoder_that_does_not_say_its_size_is_refused(method):
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 4))
    with pytest.raises(ConfigError, match="Sequential cannot be an encoder: it has no attribute dim"):
        method(net)
    net.dim = 4
    method(net)


@pytest.mark.parametrize("distance", [MotifDistance(channels=4), SpectralDistance(), Means()], ids=type)
def test_distances(distance):
    assert is_distance(distance)
    assert not is_encoder(distance)


@pytest.mark.parametrize("method", [RelCon, Rebar])
def test_what_a_distance_lacks_is_named(method):
    with pytest.raises(ConfigError, match=r"OnlyBetween cannot be a distance .*: it has no unit, pairwise, to_some"):
        method(small_resnet_1d(), OnlyBetween())
