"""The spectral distance against its definition in numpy, float64, pair by pair."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from relcon_lightning.nets import SpectralDistance


def reference(a: np.ndarray, b: np.ndarray, level: float = 3.0, floor: float = 1 / 64) -> float:
    total = 0.0
    for x, y in zip(a.astype(float), b.astype(float), strict=True):
        total += level**2 * ((x.mean() - y.mean()) ** 2 + (x.std() - y.std()) ** 2)
        spectra = []
        for axis in (x, y):
            n = len(axis)
            k = np.arange(n // 2 + 1)[:, None]
            amplitude = 2 / n * np.abs(((axis - axis.mean()) * np.exp(-2j * np.pi * k * np.arange(n) / n)).sum(1))
            spectra.append(np.log1p(amplitude / floor))
        total += ((spectra[0] - spectra[1]) ** 2).sum()
    return total


@given(batch=st.integers(1, 4), count=st.integers(1, 3), steps=st.integers(2, 33), seed=st.integers(0, 99))
def test_pairwise_and_in_batch_equal_the_definition(batch: int, count: int, steps: int, seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    anchors, candidates = torch.randn(batch, 3, steps, generator=g), torch.randn(batch, count, 3, steps, generator=g)
    net = SpectralDistance()
    pairs, square = net.pairwise(anchors, candidates), net.in_batch(anchors)
    for i in range(batch):
        for j in range(count):
            np.testing.assert_allclose(pairs[i, j], reference(anchors[i].numpy(), candidates[i, j].numpy()), rtol=1e-3)
        for j in range(batch):
            np.testing.assert_allclose(
                square[i, j], reference(anchors[i].numpy(), anchors[j].numpy()), rtol=1e-3, atol=1e-4
            )


def test_a_moment_later_is_near_and_another_frequency_is_far() -> None:
    t = torch.arange(256) / 100
    wave, later, faster = (
        torch.stack([torch.sin(6.283 * f * (t + s))] * 3)[None] for f, s in ((2, 0), (2, 0.1), (4, 0))
    )
    net = SpectralDistance()
    assert 3 * net.pairwise(wave, later[:, None]) < net.pairwise(wave, faster[:, None])


def test_still_and_bfloat16_windows_are_finite() -> None:
    still = torch.zeros(2, 3, 64, dtype=torch.bfloat16)
    assert torch.equal(SpectralDistance().in_batch(still), torch.zeros(2, 2))
    assert not list(SpectralDistance().parameters())
