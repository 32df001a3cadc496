"""RelCon with two augmented views per window."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from relcon_lightning.augment import RandomAugmentations
from relcon_lightning.batch import CandidateBatch
from relcon_lightning.errors import ConfigError
from relcon_lightning.losses import nt_xent_loss
from relcon_lightning.methods import RelCon
from relcon_lightning.nets import MotifDistance, ResNet1d, SpectralDistance
from tests import oracles

T = 64


class Recorder:
    """An augmentation that keeps what it made."""

    def __init__(self):
        self.made = []

    def __call__(self, x, generator):
        self.made.append(RandomAugmentations()(x, generator))
        return self.made[-1]


def made(distance=SpectralDistance, **options):
    torch.manual_seed(0)
    options = {"temperature": 0.3, "view": Recorder(), "views": 2, "projection": (12, 5), **options}
    return RelCon(ResNet1d((8, 16), (1, 1), (3, 3)), distance(), **options).double().eval()


def batch(anchors, candidates=0, people=2):
    g = torch.Generator().manual_seed(anchors)
    draw = {"generator": g, "dtype": torch.float64}
    return CandidateBatch.of(
        torch.randn(anchors, 3, T, **draw),
        torch.randn(anchors, candidates, 3, T, **draw),
        torch.arange(anchors) % people,
    )


@pytest.mark.parametrize("distance", [SpectralDistance, MotifDistance])
@given(anchors=st.integers(1, 6), candidates=st.integers(0, 2), seed=st.integers(0, 99))
def test_the_loss_is_that_of_a_loop_over_views(distance, anchors, candidates, seed):
    method, content = made(distance), batch(anchors, candidates)
    if anchors > 2:
        content["anchor"][1] = content["anchor"][0]  # ties
    loss = method.loss(content, torch.Generator().manual_seed(seed), "train")
    first, second = method.view.made
    with torch.no_grad():
        embed = lambda x: method.head(method.encoder(x)).numpy()  # noqa: E731
        views = [embed(first[:anchors]), embed(second)]
        drawn = embed(first[anchors:]).reshape(anchors, candidates, -1) if candidates else None
    total = 0.0
    for v in range(2):
        for i in range(anchors):
            z, d = [], []
            for c in range(candidates):
                z.append(drawn[i, c])
                d.append(float(method.distance.pairwise(content["anchor"][[i]], content["candidates"][[i]])[0, c]))
            for w in range(2):
                for j in range(anchors):
                    if (v, i) == (w, j):
                        continue
                    z.append(views[w][j])
                    apart = method.distance.pairwise(content["anchor"][[i]], content["anchor"][[j]][None])
                    d.append(0.0 if i == j else float(apart[0, 0]))
            total += oracles.relative_contrastive(views[v][[i]], np.array(z)[None], np.array(d)[None], 0.3)
    assert float(loss.detach()) == pytest.approx(total / (2 * anchors), rel=1e-7)


def test_with_the_nearest_positive_alone_it_is_simclr():
    from relcon_lightning.losses import nearest_positive

    method, content = made(loss=nearest_positive, projection=None), batch(6)
    loss = method.loss(content, torch.Generator().manual_seed(0), "train")
    first, second = (method.encoder(view) for view in method.view.made)
    torch.testing.assert_close(loss, nt_xent_loss(first, second, 0.3))


def test_some_pairs_keep_the_other_view():
    ranked = made(pairs=2).rank(batch(7), torch.Generator().manual_seed(0))
    assert ranked.distances.shape == (14, 6)  # two views of the own window and of two others
    assert (ranked.mask.sum(1) == 5).all()
    nearest = ranked.distances.masked_fill(~ranked.mask, torch.inf).min(1).values
    assert (nearest == 0).all()
    assert (ranked.within.sum(1) >= 1).all()
    assert not (ranked.within & ~ranked.mask).any()


def test_the_head_learns_and_the_embedding_does_not_pass_through_it():
    method = made(view=RandomAugmentations())
    method.loss(batch(4), torch.Generator().manual_seed(0), "train").backward()
    assert all(p.grad is not None for p in method.head.parameters())
    assert method.ranking(torch.randn(5, 3, T, dtype=torch.float64)).shape == (5, 5)
    assert method.dim == 16


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"views": 3}, "expected 1 or 2"),
        ({"view": None}, "needs an augmentation"),
        ({"within_user": False, "batch_candidates": False}, "set model.batch_candidates=true"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        made(**options)
