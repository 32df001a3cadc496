from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from relcon_lightning.augment import Negate, OneTransformation, TwoDraws
from relcon_lightning.batch import CandidateBatch
from relcon_lightning.errors import ConfigError
from relcon_lightning.methods import RelCon, SimCLR
from relcon_lightning.nets import ResNet1d, SpectralDistance, small_resnet_1d


def method(**options) -> SimCLR:
    torch.manual_seed(0)
    return SimCLR(ResNet1d((8, 16), (1, 1), (3, 3)), **options).eval()


def batch(n: int = 5, time: int = 64) -> CandidateBatch:
    anchor = torch.randn(n, 3, time, generator=torch.Generator().manual_seed(1))
    return CandidateBatch.of(anchor, torch.randn(n, 2, 3, time))


def generator(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("views", [None, TwoDraws()])
def test_loss_is_nt_xent_of_two_views_written_out(views):
    """One view at a time in float64 (Chen et al. 2020, Eq. 1)."""
    simclr, content = method(temperature=0.5, views=views), batch()
    g = generator()
    views = simclr.views(content["anchor"], g)
    z = nn.functional.normalize(simclr.head(simclr.encoder(torch.cat(views))), dim=1).double().tolist()
    total = 0.0
    for i in range(10):
        s = [sum(a * b for a, b in zip(z[i], z[j], strict=True)) / 0.5 for j in range(10)]
        total += -s[(i + 5) % 10] + math.log(sum(math.exp(s[j]) for j in range(10) if j != i))
    torch.testing.assert_close(simclr.loss(content, generator(), "train").item(), total / 10, rtol=1e-5, atol=1e-6)


def test_the_recipe_of_the_paper_is_the_default():
    assert isinstance(method().views, OneTransformation)


@pytest.mark.parametrize("views", [None, TwoDraws()])
def test_the_two_views_of_a_window_are_drawn_apart(views):
    seen: list[torch.Tensor] = []
    simclr = method(views=views)
    simclr.encoder.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    simclr.loss(batch(), generator(), "train")
    first, second = seen[0].chunk(2)
    assert not torch.equal(first, second)


def test_candidates_have_no_part_and_the_generator_decides():
    simclr, content = method(), batch()
    a = simclr.loss(content, generator(), "train")
    assert a == simclr.loss(CandidateBatch.of(content.anchor), generator(), "train")
    assert a != simclr.loss(content, generator(4), "train")


def test_every_parameter_learns_and_the_head_has_three_layers():
    simclr = method(views=TwoDraws(Negate())).train()
    simclr.loss(batch(), generator(), "train").backward()
    assert all(p.grad is not None for p in simclr.parameters())
    assert [type(layer) for layer in simclr.head] == [nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear]
    assert simclr.head[0].in_features == simclr.dim == 16


@pytest.mark.parametrize("temperature", [0, -1.0, float("nan"), float("inf")])
def test_a_temperature_that_is_not_above_0_is_refused(temperature):
    with pytest.raises(ConfigError, match=r"temperature=.*: expected a finite number above 0"):
        SimCLR(small_resnet_1d(), temperature=temperature)
    with pytest.raises(ConfigError, match=r"temperature=.*: expected a finite number above 0"):
        RelCon(small_resnet_1d(), SpectralDistance(), temperature=temperature)
