"""Measures of collapse against their definitions, pair by pair in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from relcon_lightning.methods.sphere import alignment, diversity, uniformity


def unit(z: torch.Tensor) -> np.ndarray:
    rows = z.double().numpy()
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@given(n=st.integers(2, 9), dim=st.integers(1, 12), scale=st.sampled_from([1e-2, 1.0, 1e2]), seed=st.integers(0, 99))
def test_equal_their_definitions(n: int, dim: int, scale: float, seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    z, positive = scale * torch.randn(n, dim, generator=g), torch.randn(n, dim, generator=g)
    a, b = unit(z), unit(positive)
    assert alignment(z, positive).item() == pytest.approx(
        np.mean([np.sum((x - y) ** 2) for x, y in zip(a, b, strict=True)]), abs=1e-5
    )
    pairs = [np.exp(-2 * np.sum((a[i] - a[j]) ** 2)) for i in range(n) for j in range(i)]
    assert uniformity(z).item() == pytest.approx(np.log(np.mean(pairs)), abs=1e-4)
    assert diversity(z).item() == pytest.approx(a.std(0).mean() * np.sqrt(dim), abs=1e-4)


def test_tell_a_collapse_from_an_even_spread() -> None:
    g = torch.Generator().manual_seed(0)
    even = torch.randn(500, 64, generator=g)
    collapsed = torch.randn(1, 64, generator=g) * torch.rand(500, 1, generator=g)
    assert diversity(even) == pytest.approx(1, abs=0.05)
    assert diversity(collapsed) == pytest.approx(0, abs=1e-5)
    assert uniformity(even) < -3.5
    assert uniformity(collapsed) == pytest.approx(0, abs=1e-5)
    assert alignment(collapsed, collapsed.flip(0)) == pytest.approx(0, abs=1e-5)
    assert alignment(even, -even) == pytest.approx(4, abs=1e-5)


def test_embeddings_of_zero_are_finite_and_nothing_is_learnt_from_the_measures() -> None:
    z = torch.zeros(4, 3, requires_grad=True)
    for value in (diversity(z), alignment(z, z), uniformity(z)):
        assert torch.isfinite(value)
        assert not value.requires_grad
