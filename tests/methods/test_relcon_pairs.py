"""Distances for a random part of the pairs of a batch."""

from __future__ import annotations

import pytest
import torch

from relcon_lightning.batch import CandidateBatch
from relcon_lightning.errors import ConfigError
from relcon_lightning.methods import RelCon
from relcon_lightning.nets import MotifDistance, ResNet1d, SpectralDistance

ANCHORS = 7


def made(pairs, distance=SpectralDistance):
    torch.manual_seed(0)
    return RelCon(ResNet1d((8, 16), (1, 1), (3, 3)), distance(), temperature=0.5, pairs=pairs).double().eval()


def batch(candidates=0):
    g = torch.Generator().manual_seed(3)
    draw = {"generator": g, "dtype": torch.float64}
    return CandidateBatch.of(
        torch.randn(ANCHORS, 3, 64, **draw), torch.randn(ANCHORS, candidates, 3, 64, **draw), torch.arange(ANCHORS) // 3
    )


def ranked(method, content, seed=0):
    return method.rank(content, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("candidates", [0, 2])
@pytest.mark.parametrize("distance", [SpectralDistance, MotifDistance])
def test_some_pairs_have_the_distances_and_similarities_they_have_among_all(distance, candidates):
    content = batch(candidates)
    whole, some = ranked(made(None, distance), content), ranked(made(3, distance), content)
    assert some.distances.shape == (ANCHORS, candidates + 3)
    assert some.mask.all()
    for anchor in range(ANCHORS):
        known = {
            (round(d, 9), round(s, 9), w)
            for d, s, m, w in zip(*(whole[i][anchor].tolist() for i in (1, 0, 2, 3)), strict=True)
            if m
        }
        found = [
            (round(d, 9), round(s, 9), w)
            for d, s, w in zip(*(some[i][anchor].tolist() for i in (1, 0, 3)), strict=True)
        ]
        assert set(found) <= known
        assert len(set(found)) == len(found)


@pytest.mark.parametrize("pairs", [ANCHORS - 1, ANCHORS, 100])
def test_as_many_as_there_are_is_all_of_them(pairs):
    g = torch.Generator()
    expected = made(None).loss(batch(2), g.manual_seed(0), "train")
    torch.testing.assert_close(made(pairs).loss(batch(2), g.manual_seed(0), "train"), expected)


def test_every_other_window_is_drawn_as_often():
    method, content = made(2), batch()
    everyone = ranked(made(None), content).distances
    counts = torch.zeros(ANCHORS, ANCHORS)
    for seed in range(600):
        drawn = ranked(method, content, seed).distances
        counts += (everyone[:, None] == drawn[:, :, None]).any(1)
    assert (counts.diagonal() == 0).all()
    others = counts[~torch.eye(ANCHORS, dtype=torch.bool)]
    assert (others - 200).abs().max() < 60  # 2 of 6 in 600 draws; five standard deviations are 58
    assert torch.equal(ranked(method, content, 1).distances, ranked(method, content, 1).distances)


@pytest.mark.parametrize("pairs", [0, -1, 1.5, True])
def test_the_number_of_pairs_is_whole_and_above_0(pairs):
    with pytest.raises(ConfigError, match=f"model.pairs={pairs}: expected a whole number, 1 or more"):
        made(pairs)
