"""The embedding distance against cosines in float64, pair by pair."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from relcon_lightning.errors import ConfigError
from relcon_lightning.nets import EmbeddingDistance, small_resnet_1d

STEPS = 24


class Products(nn.Module):
    """Encoder whose embedding can be computed by hand: the mean of each axis, and of each product of two axes."""

    dim = 6

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, x * x.roll(1, dims=1)], dim=1).mean(-1)


def reference(a: torch.Tensor, b: torch.Tensor) -> float:
    x, y = (
        [float(row.mean()) for row in w] + [float((w[i] * w[i - 1]).mean()) for i in range(3)]
        for w in (a.double(), b.double())
    )
    dot = sum(p * q for p, q in zip(x, y, strict=True))
    return 1 - dot / (sum(p * p for p in x) ** 0.5 * sum(q * q for q in y) ** 0.5)


@given(batch=st.integers(1, 4), count=st.integers(1, 3), seed=st.integers(0, 99))
def test_all_ways_to_measure_equal_the_definition(batch: int, count: int, seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    anchors, candidates = (torch.randn(*n, 3, STEPS, generator=g) for n in ((batch,), (batch, count)))
    net = EmbeddingDistance(Products()).eval()
    pairs, square, flat = net.pairwise(anchors, candidates), net.in_batch(anchors), candidates.flatten(0, 1)
    everything = net.between(anchors, flat)
    columns = torch.randint(len(flat), (batch, 2), generator=g)
    expected = torch.tensor([[reference(a, c) for c in flat] for a in anchors])
    torch.testing.assert_close(everything, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(net.to_some(anchors, flat, columns), expected.gather(1, columns), rtol=1e-4, atol=1e-5)
    own = torch.stack([expected[i, i * count : (i + 1) * count] for i in range(batch)])
    torch.testing.assert_close(pairs, own, rtol=1e-4, atol=1e-5)
    mutual = torch.tensor([[reference(a, b) for b in anchors] for a in anchors])
    torch.testing.assert_close(square, mutual, rtol=1e-4, atol=1e-5)
    assert torch.equal(square.diagonal(), torch.zeros(batch))


def test_autocast_changes_no_distance() -> None:
    windows = torch.randn(8, 3, 128, generator=torch.Generator().manual_seed(0))
    net = EmbeddingDistance(small_resnet_1d()).eval()
    with torch.no_grad():
        plain = net.in_batch(windows)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(net.in_batch(windows), plain)
            assert torch.equal(net.pairwise(windows, windows[:, None]), torch.zeros(8, 1))


def test_a_network_that_is_no_encoder_is_refused() -> None:
    with pytest.raises(ConfigError, match="Linear cannot be an encoder"):
        EmbeddingDistance(nn.Linear(3, 3))
