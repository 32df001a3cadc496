from __future__ import annotations

import pytest
import torch

from relcon_lightning.batch import CandidateBatch
from relcon_lightning.errors import ConfigError
from relcon_lightning.losses import relative_contrastive
from relcon_lightning.methods import Rebar
from relcon_lightning.nets import MotifDistance, ResNet1d


def method(**options) -> Rebar:
    torch.manual_seed(0)
    return Rebar(ResNet1d((8, 16), (1, 1), (3, 3)), MotifDistance(16, 7), temperature=0.5, **options).eval()


def motif_distance(rebar: Rebar) -> MotifDistance:
    assert isinstance(rebar.distance, MotifDistance)
    return rebar.distance


def batch(c: int = 3, people=(0, 0, 1, 1, 2, 2)) -> CandidateBatch:
    g = torch.Generator().manual_seed(1)
    n = len(people)
    return CandidateBatch.of(
        torch.randn(n, 3, 64, generator=g), torch.randn(n, c, 3, 64, generator=g), torch.tensor(people)
    )


def loss(rebar: Rebar, content) -> float:
    return rebar.loss(content, torch.Generator().manual_seed(0), "train").item()


def written_out(rebar: Rebar, content, alpha: float | None = None) -> float:
    """One anchor at a time in float64, as Xu et al. (2024) define it."""
    x, people = content["anchor"], content["participant"]

    def unit(window: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.normalize(rebar.encoder(window[None])[0].double(), dim=0)

    total, counted = 0.0, 0
    for i in range(len(x)):
        pool = [(w, True) for w in content["candidates"][i]]
        pool += [(x[j], bool(people[i] == people[j])) for j in range(len(x)) if j != i]
        distances = [motif_distance(rebar).distance(x[i : i + 1], w[None]).item() for w, _ in pool]
        s = [float(unit(x[i]) @ unit(w)) / 0.5 for w, _ in pool]
        own = [k for k, (_, within) in enumerate(pool) if within]
        if not own:
            continue
        positive = min(own, key=lambda k: distances[k])

        def term(negatives, s=s, positive=positive):
            among = torch.tensor([s[k] for k in sorted({positive, *negatives})], dtype=torch.float64)
            return float(torch.logsumexp(among, 0)) - s[positive]

        others = [k for k in range(len(pool)) if k not in own]
        total += term(range(len(pool))) if alpha is None else alpha * term(own) + (1 - alpha) * term(others)
        counted += 1
    return total / counted


@pytest.mark.parametrize("c", [0, 1, 3])
@pytest.mark.parametrize("alpha", [None, 0.0, 0.3, 1.0])
@torch.no_grad()
def test_loss_is_the_one_written_out(c, alpha):
    rebar, content = method(temporal_weight=alpha), batch(c)
    assert loss(rebar, content) == pytest.approx(written_out(rebar, content, alpha), rel=1e-5, abs=1e-6)


@torch.no_grad()
def test_the_positive_is_of_the_same_person_even_when_a_stranger_is_nearer():
    rebar = method()
    rebar.distance.pairwise = lambda anchors, candidates: torch.full(candidates.shape[:2], 9.0)
    rebar.distance.in_batch = lambda anchors: torch.ones(len(anchors), len(anchors))
    content = batch(c=1, people=(0, 1))
    ranked = rebar.rank(content, torch.Generator())
    s = (ranked.similarities / 0.5).masked_fill(~ranked.mask, -torch.inf)
    assert loss(rebar, content) == pytest.approx((s.logsumexp(1) - s[:, 0]).mean().item(), rel=1e-5)


@torch.no_grad()
def test_anchors_without_their_own_are_left_out_and_none_at_all_is_an_error():
    rebar, content = method(), batch(c=0, people=(0, 0, 1, 2))
    assert loss(rebar, content) == pytest.approx(written_out(rebar, content), rel=1e-5)
    with pytest.raises(ConfigError, match="candidates of the anchor's participant"):
        loss(rebar, batch(c=0, people=(0, 1, 2)))


def test_the_encoder_learns_and_the_distance_does_not():
    rebar = method().train()
    rebar.loss(batch(), torch.Generator().manual_seed(0), "train").backward()
    assert all(p.grad is not None for p in rebar.encoder.parameters())
    assert all(p.grad is None for p in motif_distance(rebar).parameters())
    assert not motif_distance(rebar).training


def test_a_loss_is_refused_because_rebar_has_its_own():
    with pytest.raises(TypeError, match="'loss'"):
        method(loss=relative_contrastive)
