"""The log-ratio loss of Table 6 against loops in float64."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import oracles
from tests.test_losses import distinct_distances, embeddings, log_ratio_loss


@settings(deadline=None, max_examples=40)
@given(batch=st.integers(1, 4), count=st.integers(2, 6), seed=st.integers(0, 2**31), masked=st.booleans())
def test_log_ratio_equals_the_loops(batch: int, count: int, seed: int, masked: bool) -> None:
    anchor, candidates = embeddings(seed, batch, count)
    distances = distinct_distances(seed % 1000, batch, count)
    mask = None
    if masked:  # the same number in every row, so that a mean of means is the mean
        mask = torch.ones(batch, count, dtype=torch.bool)
        mask[:, 0] = count < 3
    value = log_ratio_loss(anchor, candidates, distances, mask=mask)
    expected = oracles.log_ratio(
        anchor.numpy(), candidates.numpy(), distances.numpy(), None if mask is None else mask.numpy()
    )
    # The clamps of 1e-6 are small beside squared distances of 0.01 and more.
    assert value.item() == pytest.approx(expected, rel=1e-3)


def test_log_ratio_is_the_mean_over_anchors_each_with_its_own_candidates() -> None:
    anchor, candidates = embeddings(21, 4, 5)
    distances = distinct_distances(21, 4, 5)
    mask = torch.tensor([[1, 1, 1, 1, 1], [0, 1, 1, 0, 0], [1, 1, 0, 1, 0], [0, 0, 0, 1, 0]], dtype=torch.bool)
    alone = [
        log_ratio_loss(a[None], c[m][None], d[m][None])
        for a, c, d, m in zip(anchor, candidates, distances, mask, strict=True)
    ]
    torch.testing.assert_close(log_ratio_loss(anchor, candidates, distances, mask=mask), torch.stack(alone).mean())
    assert alone[3] == 0  # no pair


def test_log_ratio_takes_logarithms_of_half_precision_distances_in_full() -> None:
    anchor, candidates = (t.float() for t in embeddings(22, 3, 4))
    distances = distinct_distances(22, 3, 4).bfloat16()
    expected = log_ratio_loss(anchor, candidates, distances.float())
    torch.testing.assert_close(log_ratio_loss(anchor, candidates, distances), expected, rtol=0, atol=0)


def test_log_ratio_vanishes_when_embeddings_mirror_distances() -> None:
    angles = torch.tensor([[0.3, 0.7, 1.9, 2.8]], dtype=torch.float64)
    anchor = torch.tensor([[2.0, 0.0]], dtype=torch.float64)
    candidates = torch.stack([angles.cos(), angles.sin()], dim=-1) * 5.0
    chords = 2.0 - 2.0 * angles.cos()
    assert log_ratio_loss(anchor, candidates, 7.0 * chords).item() < 1e-6
    assert log_ratio_loss(anchor, candidates, chords.sqrt()).item() > 1e-2


def test_log_ratio_gradient_is_the_derivative() -> None:
    anchor, candidates = (t.requires_grad_() for t in embeddings(19, 2, 4, dim=4))
    distances = distinct_distances(19, 2, 4)
    assert torch.autograd.gradcheck(lambda a, c: log_ratio_loss(a, c, distances), (anchor, candidates))


def test_log_ratio_is_finite_where_a_distance_is_zero() -> None:
    anchor, candidates = (t.float() for t in embeddings(20, 2, 3))
    candidates[0, 0] = anchor[0]
    candidates.requires_grad_()
    distances = torch.tensor([[0.0, 1.0, 2.0], [1.0, 0.0, 0.0]])
    value = log_ratio_loss(anchor, candidates, distances)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(candidates.grad).all()
