"""The losses against loops in float64, closed forms, and the invariances of Eq. 5 to 7 of the paper."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from relcon_lightning.losses import (
    cosine_similarities,
    cross_similarities,
    log_ratio,
    nearest_and_relative,
    nearest_positive,
    nt_xent_loss,
    relative_contrastive,
    relative_contrastive_loss,
)
from tests import oracles


def nearest_positive_loss(anchor: Tensor, candidates: Tensor, *arguments: Any, **keywords: Any) -> Tensor:
    """The loss of embeddings ``(B, E)`` and ``(B, C, E)``."""
    return nearest_positive(cosine_similarities(anchor, candidates), *arguments, **keywords)


def nearest_and_relative_loss(anchor: Tensor, candidates: Tensor, *arguments: Any, **keywords: Any) -> Tensor:
    """The loss of embeddings ``(B, E)`` and ``(B, C, E)``."""
    return nearest_and_relative(cosine_similarities(anchor, candidates), *arguments, **keywords)


def log_ratio_loss(anchor: Tensor, candidates: Tensor, *arguments: Any, **keywords: Any) -> Tensor:
    """The loss of embeddings ``(B, E)`` and ``(B, C, E)``."""
    return log_ratio(cosine_similarities(anchor, candidates), *arguments, **keywords)


TEMPERATURES = (1e-2, 0.1, 1.0, 1e2)
RANKING_LOSSES = [
    pytest.param(relative_contrastive_loss, oracles.relative_contrastive, id="relative"),
    pytest.param(nearest_positive_loss, oracles.nearest_positive, id="nearest"),
    pytest.param(nearest_and_relative_loss, oracles.nearest_and_relative, id="both"),
]
# Float64 sums of at most 8 terms: rounding is below 1e-14 of the largest intermediate, 1 / tau = 100.
TIGHT = {"rtol": 1e-11, "atol": 1e-11}


def embeddings(seed: int, batch: int, candidates: int, dim: int = 5) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    anchor = torch.randn(batch, dim, generator=g, dtype=torch.float64)
    return anchor, torch.randn(batch, candidates, dim, generator=g, dtype=torch.float64)


def distinct_distances(seed: int, batch: int, candidates: int) -> Tensor:
    """A random order of well separated positive numbers in each row."""
    g = torch.Generator().manual_seed(seed + 1)
    order = torch.stack([torch.randperm(candidates, generator=g) for _ in range(batch)])
    return 0.5 + order.double() * 1.7


@st.composite
def ranking_cases(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor, Tensor, float]:
    """Distances are drawn from few values, so ties are common; at least one candidate a row counts."""
    batch, candidates = draw(st.integers(1, 4)), draw(st.integers(1, 7))
    anchor, others = embeddings(draw(st.integers(0, 2**31)), batch, candidates)
    row = st.lists(st.sampled_from([0.0, 0.5, 1.0, 3.0]), min_size=candidates, max_size=candidates)
    distances = torch.tensor([draw(row) for _ in range(batch)], dtype=torch.float64)
    flags = st.lists(st.booleans(), min_size=candidates, max_size=candidates).filter(any)
    mask = torch.tensor([draw(flags) for _ in range(batch)])
    return anchor, others, distances, mask, draw(st.sampled_from(TEMPERATURES))


# --- relative and nearest-positive: shared


@pytest.mark.parametrize(("loss", "oracle"), RANKING_LOSSES)
@settings(deadline=None, max_examples=60)
@given(case=ranking_cases())
def test_ranking_loss_equals_the_loops(loss: Callable, oracle: Callable, case: tuple) -> None:
    anchor, candidates, distances, mask, temperature = case
    arrays = (anchor.numpy(), candidates.numpy(), distances.numpy(), temperature)
    plain = loss(anchor, candidates, distances, temperature)
    assert plain.shape == ()
    torch.testing.assert_close(plain.item(), oracle(*arrays), **TIGHT)
    masked = loss(anchor, candidates, distances, temperature, mask=mask)
    torch.testing.assert_close(masked.item(), oracle(*arrays, mask.numpy()), **TIGHT)


@pytest.mark.parametrize(("loss", "oracle"), RANKING_LOSSES)
@settings(deadline=None, max_examples=25)
@given(case=ranking_cases())
def test_masked_candidates_leave_no_trace(loss: Callable, oracle: Callable, case: tuple) -> None:
    anchor, candidates, distances, mask, temperature = case
    expected = loss(anchor, candidates, distances, temperature, mask=mask)
    other = candidates.clone()
    other[~mask] = 37.0 * other[~mask].flip(-1) + 1.0
    for filler in (-1e9, 1.0, 1e9):
        changed = loss(anchor, other, distances.masked_fill(~mask, filler), temperature, mask=mask)
        torch.testing.assert_close(changed, expected, **TIGHT)


@pytest.mark.parametrize(("loss", "oracle"), RANKING_LOSSES)
def test_only_the_order_of_distances_matters(loss: Callable, oracle: Callable) -> None:
    anchor, candidates = embeddings(3, 4, 6)
    distances = distinct_distances(3, 4, 6)
    distances[:, 1] = distances[:, 0]
    expected = loss(anchor, candidates, distances)
    torch.testing.assert_close(loss(anchor, candidates, distances.exp() + 9.0), expected, **TIGHT)
    assert abs(loss(anchor, candidates, -distances) - expected) > 1e-2


@pytest.mark.parametrize(("loss", "oracle"), RANKING_LOSSES)
def test_candidate_order_and_vector_lengths_do_not_matter(loss: Callable, oracle: Callable) -> None:
    anchor, candidates = embeddings(4, 3, 6)
    distances = distinct_distances(4, 3, 6)
    expected = loss(anchor, candidates, distances)
    order = torch.tensor([4, 1, 5, 0, 3, 2])
    torch.testing.assert_close(loss(anchor, candidates[:, order], distances[:, order]), expected, **TIGHT)
    lengths = torch.rand(3, 6, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 9 + 0.1
    torch.testing.assert_close(loss(anchor * 7.0, candidates * lengths, distances), expected, **TIGHT)


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize(("loss", "oracle"), RANKING_LOSSES)
def test_float32_stays_near_float64(loss: Callable, oracle: Callable, temperature: float) -> None:
    batch, count = 8, 24
    anchor, candidates = embeddings(7, batch, count, dim=64)
    distances = distinct_distances(7, batch, count)
    exact = oracle(anchor.numpy(), candidates.numpy(), distances.numpy(), temperature)
    single = loss(anchor.float(), candidates.float(), distances.float(), temperature)
    assert single.dtype == torch.float32
    # A cosine is off by some eps; a term by twice that over tau; there are at most `count` terms an anchor.
    eps = torch.finfo(torch.float32).eps
    assert abs(single.item() - exact) <= count * 2 * 4 * eps / temperature + 16 * eps * abs(exact)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize(("loss", "oracle"), RANKING_LOSSES)
def test_half_precision_is_finite_and_near(
    loss: Callable, oracle: Callable, temperature: float, dtype: torch.dtype
) -> None:
    anchor, candidates = (t.to(dtype).requires_grad_() for t in embeddings(8, 4, 6, dim=16))
    distances = distinct_distances(8, 4, 6)
    value = loss(anchor, candidates, distances.to(dtype), temperature)
    value.backward()
    assert torch.isfinite(anchor.grad).all()
    assert torch.isfinite(candidates.grad).all()
    exact = oracle(
        anchor.detach().double().numpy(), candidates.detach().double().numpy(), distances.numpy(), temperature
    )
    # bfloat16 keeps 8 bits: a cosine is off by up to 2 ** -7, a term by twice that over tau, 6 terms.
    assert abs(value.item() - exact) <= 6 * 2 * 2**-7 / temperature + 2**-6 * abs(exact) + 2**-6


@pytest.mark.parametrize(("loss", "oracle"), RANKING_LOSSES)
@pytest.mark.parametrize("masked", [False, True])
def test_gradient_is_the_derivative(loss: Callable, oracle: Callable, masked: bool) -> None:
    anchor, candidates = (t.requires_grad_() for t in embeddings(9, 3, 5, dim=4))
    distances = torch.tensor([[1.0, 2, 2, 3, 2], [5, 4, 3, 2, 1], [1] * 5], dtype=torch.float64)
    mask = torch.tensor([[True, True, False, True, True]] * 3) if masked else None
    assert torch.autograd.gradcheck(lambda a, c: loss(a, c, distances, 0.3, mask), (anchor, candidates))


@pytest.mark.parametrize(("loss", "oracle"), RANKING_LOSSES)
def test_gradient_is_finite_at_extreme_temperature(loss: Callable, oracle: Callable) -> None:
    anchor, candidates = (t.float().requires_grad_() for t in embeddings(10, 4, 6))
    with torch.no_grad():
        candidates[0, 0], candidates[0, 1] = anchor[0], -anchor[0]  # cosines of exactly 1 and -1
    for temperature in (1e-2, 1e2):
        grads = torch.autograd.grad(
            loss(anchor, candidates, distinct_distances(10, 4, 6), temperature), (anchor, candidates)
        )
        assert all(torch.isfinite(g).all() for g in grads)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("size", [0.0, 1.0, 1e4])
@pytest.mark.parametrize("distance", [0.0, 1.0, 6e4])
@pytest.mark.parametrize("loss", [relative_contrastive_loss, nearest_positive_loss, log_ratio_loss])
def test_where_nothing_differs_loss_and_gradient_are_finite(
    loss: Callable, distance: float, size: float, dtype: torch.dtype
) -> None:
    anchor, candidates = (torch.full(shape, size, dtype=dtype).requires_grad_() for shape in ((2, 4), (2, 3, 4)))
    value = loss(anchor, candidates, torch.full((2, 3), distance, dtype=dtype))
    value.backward()
    assert all(t.isfinite().all() for t in (value, anchor.grad, candidates.grad))


@pytest.mark.parametrize("loss", [relative_contrastive, nearest_positive])
def test_the_papers_temperature_is_the_default(loss: Callable) -> None:
    similarities, distances = torch.tensor([[0.9, -0.3, 0.4]]), torch.tensor([[2.0, 1.0, 3.0]])
    assert torch.equal(loss(similarities, distances), loss(similarities, distances, temperature=1.0))


# --- relative contrastive


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("count", [1, 2, 3, 21, 64])
def test_equal_similarities_give_log_factorial(count: int, temperature: float) -> None:
    """With s constant the candidate of rank r has C - r negatives: the sum is log C! whatever tau."""
    anchor, _ = embeddings(12, 3, 1)
    candidates = (anchor * 2.0)[:, None].expand(-1, count, -1)
    value = relative_contrastive_loss(anchor, candidates, distinct_distances(12, 3, count), temperature)
    assert value.item() == pytest.approx(math.lgamma(count + 1), rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_ties_are_not_negatives(temperature: float) -> None:
    anchor, candidates = embeddings(13, 4, 6)
    distances = torch.full((4, 6), 2.5, dtype=torch.float64)
    value = relative_contrastive_loss(anchor, candidates, distances, temperature)
    assert abs(value.item()) < 1e-11


def test_two_candidates_by_hand() -> None:
    """s = (1, 0), the first is nearer: its one negative is the second, and the second has none."""
    anchor = torch.tensor([[1.0, 0.0]])
    candidates = torch.tensor([[[2.0, 0.0], [0.0, 3.0]]])
    near_first = relative_contrastive_loss(anchor, candidates, torch.tensor([[0.1, 0.2]]))
    assert near_first.item() == pytest.approx(math.log(math.e + 1.0) - 1.0, abs=1e-6)
    near_last = relative_contrastive_loss(anchor, candidates, torch.tensor([[0.2, 0.1]]))
    assert near_last.item() == pytest.approx(math.log(1.0 + math.e), abs=1e-6)


def test_tie_in_the_middle_by_hand() -> None:
    """Distances 1, 2, 2, 3 with s = 0: log 4 for the first, log 2 for each of the tied, 0 for the last."""
    anchor = torch.tensor([[1.0, 0.0]])
    candidates = torch.tensor([[[0.0, 1.0]] * 4])
    value = relative_contrastive_loss(anchor, candidates, torch.tensor([[2.0, 3.0, 1.0, 2.0]]))
    assert value.item() == pytest.approx(math.log(4.0) + 2.0 * math.log(2.0), abs=1e-6)


def test_float32_close_distances_are_not_ties() -> None:
    anchor, candidates = embeddings(15, 1, 2)
    near = torch.tensor([[1000.0, 1000.0]])
    near[0, 1] = torch.nextafter(near[0, 1], torch.tensor(torch.inf))
    value = relative_contrastive_loss(anchor.float(), candidates.float(), near)
    assert value.item() > 0.05


# --- nearest positive


def test_with_two_views_the_nearest_half_is_simclr() -> None:
    """Views of a window are at distance 0 of each other, so its nearest candidate is the other view."""
    g = torch.Generator().manual_seed(5)
    z = torch.randn(8, 6, generator=g, dtype=torch.float64)  # views 0 to 3 of four windows, then 4 to 7
    windows = torch.rand(4, 4, generator=g, dtype=torch.float64) + 0.1
    distances = windows.fill_diagonal_(0).repeat(2, 2)
    mask = ~torch.eye(8, dtype=torch.bool)
    similarities = cross_similarities(z, z)
    simclr = nt_xent_loss(z[:4], z[4:], 0.3)
    torch.testing.assert_close(nearest_and_relative(similarities, distances, 0.3, mask, nearest=1.0), simclr, **TIGHT)
    relcon = relative_contrastive(similarities, distances, 0.3, mask) / 7
    torch.testing.assert_close(nearest_and_relative(similarities, distances, 0.3, mask, nearest=0.0), relcon, **TIGHT)
    mixed = nearest_and_relative(similarities, distances, 0.3, mask, nearest=0.2)
    torch.testing.assert_close(mixed, 0.2 * simclr + 0.8 * relcon, **TIGHT)


def test_nearest_positive_takes_the_first_of_equals() -> None:
    anchor = torch.tensor([[1.0, 0.0]])
    candidates = torch.tensor([[[0.0, 1.0], [1.0, 0.0], [-1.0, 0.0]]])
    value = nearest_positive_loss(anchor, candidates, torch.tensor([[4.0, 1.0, 1.0]]))
    assert value.item() == pytest.approx(math.log(1.0 + math.e + 1.0 / math.e) - 1.0, abs=1e-6)
