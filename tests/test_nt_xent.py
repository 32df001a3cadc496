"""The loss of SimCLR against loops in float64."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from relcon_lightning.losses import nt_xent_loss
from tests import oracles
from tests.test_losses import TEMPERATURES, TIGHT, embeddings


@settings(deadline=None, max_examples=60)
@given(batch=st.integers(1, 6), seed=st.integers(0, 2**31), temperature=st.sampled_from(TEMPERATURES))
def test_nt_xent_equals_the_loops(batch: int, seed: int, temperature: float) -> None:
    z1, rest = embeddings(seed, batch, 1)
    z2 = rest[:, 0]
    value = nt_xent_loss(z1, z2, temperature)
    assert value.shape == ()
    torch.testing.assert_close(value.item(), oracles.nt_xent(z1.numpy(), z2.numpy(), temperature), **TIGHT)
    torch.testing.assert_close(nt_xent_loss(z2, z1, temperature), value, **TIGHT)
    torch.testing.assert_close(nt_xent_loss(3.0 * z1, 0.2 * z2, temperature), value, **TIGHT)


@pytest.mark.parametrize("batch", [1, 2, 64])
def test_nt_xent_of_equal_views_is_log_of_others(batch: int) -> None:
    z = torch.ones(batch, 3, dtype=torch.float64)
    assert nt_xent_loss(z, z, 0.01).item() == pytest.approx(math.log(2 * batch - 1), abs=1e-10)


def test_nt_xent_gradient_is_the_derivative() -> None:
    z1, rest = embeddings(17, 3, 1, dim=4)
    z2 = rest[:, 0].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: nt_xent_loss(a, b, 0.5), (z1.requires_grad_(), z2))


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_nt_xent_low_precision_is_near(dtype: torch.dtype, temperature: float) -> None:
    z1, rest = embeddings(18, 8, 1, dim=32)
    z1, z2 = z1.to(dtype).requires_grad_(), rest[:, 0].to(dtype)
    value = nt_xent_loss(z1, z2, temperature)
    value.backward()
    assert torch.isfinite(z1.grad).all()
    exact = oracles.nt_xent(z1.detach().double().numpy(), z2.double().numpy(), temperature)
    eps = torch.finfo(dtype).eps
    assert abs(value.item() - exact) <= 2 * 4 * eps / temperature + 4 * eps * abs(exact) + 4 * eps
