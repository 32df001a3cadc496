from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from relcon_lightning.batch import CandidateBatch
from relcon_lightning.methods import SimSiam
from relcon_lightning.methods.simsiam import agreement
from relcon_lightning.methods.sphere import diversity
from relcon_lightning.nets import ResNet1d
from tests.oracles import cosine


@pytest.fixture
def simsiam() -> SimSiam:
    torch.manual_seed(0)
    method = SimSiam(ResNet1d((8, 16), (1, 1), (3, 3)), projection=(12, 12, 12), bottleneck=3).double().train()
    method.log_values = lambda stage, **values: method.__dict__.setdefault("logged", {}).update(values)
    return method


def batch(n: int = 6) -> CandidateBatch:
    x = torch.randn(n, 3, 64, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return CandidateBatch.of(x, x[:, None])


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def projections(method: SimSiam) -> list[torch.Tensor]:
    g = generator()
    return [method.projector(method.encoder(method.augmentation(batch()["anchor"], g))) for _ in range(2)]


def test_loss_is_the_negative_cosine_of_both_directions_written_out(simsiam):
    projected = projections(simsiam)
    p1, p2 = (simsiam.predictor(z).detach().numpy() for z in projected)
    z1, z2 = (z.detach().numpy() for z in projected)
    total = sum(-cosine(p1[i], z2[i]) / 2 - cosine(p2[i], z1[i]) / 2 for i in range(6)) / 6
    assert simsiam.loss(batch(), generator(), "train").item() == pytest.approx(total, rel=1e-9)


def test_no_gradient_flows_to_the_side_that_is_predicted(simsiam):
    """Trap: the gradient is that of predictions against constants, not of the cosine as a whole."""
    constants = [z.detach() for z in projections(simsiam)]
    views = projections(simsiam)
    agreements = [
        torch.cosine_similarity(simsiam.predictor(z), c).mean() for z, c in zip(views, constants[::-1], strict=True)
    ]
    parameters = list(simsiam.parameters())
    expected = torch.autograd.grad(-sum(agreements) / 2, parameters)
    found = torch.autograd.grad(simsiam.loss(batch(), generator(), "train"), parameters)
    torch.testing.assert_close(found, expected)
    prediction, target = (torch.randn(4, 5, requires_grad=True) for _ in range(2))
    agreement(prediction, target).backward()
    assert target.grad is None
    assert prediction.grad is not None


def test_heads_are_those_of_the_paper(simsiam):
    linear, norm, relu = nn.Linear, nn.BatchNorm1d, nn.ReLU
    assert [type(m) for m in simsiam.projector] == [linear, norm, relu, linear, norm, relu, linear, norm]
    assert not simsiam.projector[-1].affine
    assert [type(m) for m in simsiam.predictor] == [linear, norm, relu, linear]
    assert [m.out_features for m in simsiam.predictor if isinstance(m, linear)] == [3, 12]
    wide = SimSiam(ResNet1d((8, 16), (1, 1), (3, 3)))
    assert wide.predictor[0].out_features * 4 == wide.predictor[0].in_features


def test_diversity_tells_a_collapse(simsiam):
    g = torch.Generator().manual_seed(0)
    even = torch.randn(500, 32, generator=g)
    assert diversity(even) == pytest.approx(1, abs=0.05)
    one = torch.randn(1, 32, generator=g)
    assert diversity(one * torch.rand(500, 1, generator=g)) == pytest.approx(0, abs=1e-5)
    unit = (even / even.norm(dim=1, keepdim=True)).numpy().astype(np.float64)
    assert diversity(3 * even) == pytest.approx(unit.std(0).mean() * np.sqrt(32), rel=1e-5)
    simsiam.loss(batch(), generator(), "train")
    torch.testing.assert_close(simsiam.__dict__["logged"]["diversity"], diversity(projections(simsiam)[0]))


def test_candidates_have_no_part(simsiam):
    other = CandidateBatch.of(batch().anchor, torch.zeros(6, 0, 3, 64), batch().participant)
    assert simsiam.loss(batch(), generator(), "train") == simsiam.loss(other, generator(), "train")
