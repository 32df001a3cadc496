"""Sparsemax against the definition (projection on the simplex), Algorithm 1 in loops, and entmax."""

from __future__ import annotations

import entmax
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from relcon_lightning.nets import sparsemax
from tests import oracles

# Multiples of 1/8 make exact ties common and exact sums possible.
eighths = st.integers(-24, 24).map(lambda i: i / 8)


def random_logits(seed: int, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


@settings(deadline=None, max_examples=150)
@given(st.lists(eighths, min_size=1, max_size=6))
def test_is_the_nearest_point_of_the_simplex(values: list[float]) -> None:
    z = torch.tensor(values, dtype=torch.float64)
    expected = oracles.simplex_projection(z.numpy())
    np.testing.assert_allclose(sparsemax(z).numpy(), expected, rtol=0, atol=1e-14)


@settings(deadline=None, max_examples=80)
@given(
    rows=st.integers(1, 4),
    length=st.integers(1, 40),
    scale=st.sampled_from([1e-3, 0.3, 1.0, 30.0]),
    seed=st.integers(0, 2**31),
)
def test_equals_algorithm_one_and_entmax(rows: int, length: int, scale: float, seed: int) -> None:
    z = random_logits(seed, rows, length) * scale
    p = sparsemax(z)
    expected = torch.from_numpy(np.stack([oracles.sparsemax(row) for row in z.numpy()]))
    torch.testing.assert_close(p, expected, rtol=0, atol=1e-13)
    torch.testing.assert_close(p, entmax.sparsemax(z, dim=-1), rtol=0, atol=1e-13)
    assert torch.equal(p == 0, expected == 0)


@settings(deadline=None, max_examples=60)
@given(
    length=st.integers(1, 300),
    scale=st.sampled_from([1e-4, 1.0, 1e3, 1e6]),
    seed=st.integers(0, 2**31),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.bfloat16]),
)
def test_is_a_distribution(length: int, scale: float, seed: int, dtype: torch.dtype) -> None:
    p = sparsemax((random_logits(seed, 3, length) * scale).to(dtype))
    assert p.dtype == dtype
    assert p.shape == (3, length)
    assert (p >= 0).all()
    # bfloat16 rounds each entry by 2 ** -9 of itself, hence their sum too; some room for the threshold.
    tolerance = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 1e-2}[dtype]
    torch.testing.assert_close(p.double().sum(-1), torch.ones(3, dtype=torch.float64), rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("offset", [0.0, 100.0, 1e6])
def test_low_precision_equals_the_oracle_on_the_same_numbers(offset: float, dtype: torch.dtype) -> None:
    z = (random_logits(1, 8, 64) + offset).to(dtype)
    expected = torch.from_numpy(np.stack([oracles.sparsemax(row) for row in z.double().numpy()]))
    # Entries are at most 1; float32 sums of up to 64 numbers below 10, bfloat16 stores 8 bits.
    atol = max(2e-5, torch.finfo(dtype).eps)
    torch.testing.assert_close(sparsemax(z).double(), expected, rtol=0, atol=atol)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_ties_constants_and_single_elements(dtype: torch.dtype) -> None:
    def check(values: list[float], expected: list[float]) -> None:
        p = sparsemax(torch.tensor(values, dtype=dtype))
        torch.testing.assert_close(p, torch.tensor(expected, dtype=dtype))

    check([7.0], [1.0])
    check([-1e6], [1.0])
    check([0.0, 0.0], [0.5, 0.5])
    check([1e6, 1e6, 0.0], [0.5, 0.5, 0.0])
    check([-1e6, -1e6, -1e6, -1e6], [0.25] * 4)
    check([1e6, 0.0, -1e6], [1.0, 0.0, 0.0])
    check([1.0, 0.0], [1.0, 0.0])  # on the boundary: the second enters with weight exactly zero
    check([0.5, 0.0, 0.0], [2 / 3, 1 / 6, 1 / 6])
    check([3.0] * 256, [1 / 256] * 256)


def test_exact_zeros() -> None:
    p = sparsemax(random_logits(2, 16, 256, dtype=torch.float32) * 4)
    assert (p == 0).float().mean() > 0.9
    assert (p[p != 0] > 1e-7).all()


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**31), shift=st.sampled_from([-50.0, 0.125, 1e3]))
def test_shift_and_order(seed: int, shift: float) -> None:
    z = random_logits(seed, 2, 9)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(sparsemax(z + shift), sparsemax(z), rtol=0, atol=1e-12)
    torch.testing.assert_close(sparsemax(z[:, order]), sparsemax(z)[:, order], rtol=0, atol=1e-14)


@pytest.mark.parametrize("dim", [0, 1, 2, -1, -2, -3])
def test_any_dimension(dim: int) -> None:
    z = random_logits(3, 4, 5, 6).requires_grad_()
    expected_input = z.detach().clone().requires_grad_()
    p, expected = sparsemax(z, dim=dim), sparsemax(expected_input.movedim(dim, -1)).movedim(-1, dim)
    torch.testing.assert_close(p, expected, rtol=0, atol=0)
    weight = random_logits(4, 4, 5, 6)
    (p * weight).sum().backward()
    (expected * weight).sum().backward()
    torch.testing.assert_close(z.grad, expected_input.grad, rtol=0, atol=1e-14)
    torch.testing.assert_close(p, entmax.sparsemax(z, dim=dim), rtol=0, atol=1e-13)


def test_last_dimension_is_the_default_and_the_input_is_kept() -> None:
    z = random_logits(5, 3, 4)
    before = z.clone()
    assert torch.equal(sparsemax(z), sparsemax(z, dim=1))
    assert torch.equal(z, before)


@pytest.mark.parametrize("shape", [(1,), (7,), (3, 8), (2, 3, 5)])
def test_gradcheck(shape: tuple[int, ...]) -> None:
    z = random_logits(6, *shape).mul(0.5).requires_grad_()
    assert torch.autograd.gradcheck(sparsemax, (z,))
    assert torch.autograd.gradcheck(lambda t: sparsemax(t, dim=0), (z,))


@settings(deadline=None, max_examples=50)
@given(length=st.integers(1, 30), scale=st.sampled_from([0.05, 1.0, 20.0]), seed=st.integers(0, 2**31))
def test_gradient_equals_that_of_entmax(length: int, scale: float, seed: int) -> None:
    z = (random_logits(seed, 3, length) * scale).requires_grad_()
    weight = random_logits(seed + 1, 3, length)
    ours = torch.autograd.grad((sparsemax(z) * weight).sum(), z)[0]
    theirs = torch.autograd.grad((entmax.sparsemax(z, dim=-1) * weight).sum(), z)[0]
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
    assert (ours[sparsemax(z) == 0] == 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradient_is_finite_for_huge_and_tied_logits(dtype: torch.dtype) -> None:
    z = torch.tensor([[1e6, 1e6, -1e6], [0.0, 0.0, 0.0], [1e6, 0.0, -1e6]], dtype=dtype).requires_grad_()
    weight = torch.tensor([1.0, 2.0, 4.0], dtype=dtype)
    (sparsemax(z) * weight).sum().backward()
    assert z.grad.dtype == dtype
    # On its support of size n the Jacobian is I - 11'/n: the weight minus its mean over the support.
    expected = torch.tensor([[-0.5, 0.5, 0.0], [-4 / 3, -1 / 3, 5 / 3], [0.0, 0.0, 0.0]], dtype=dtype)
    torch.testing.assert_close(z.grad, expected, rtol=0.02 if dtype is torch.bfloat16 else 1e-6, atol=1e-6)
