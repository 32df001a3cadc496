"""The learned distance against a float64 reference in loops, and against what Eq. 1 to 4 of the paper imply."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from relcon_lightning.nets import MotifDistance
from tests import oracles

DOUBLE = torch.float64


def windows(seed: int, *shape: int, dtype: torch.dtype = DOUBLE, spread: float = 1.0) -> Tensor:
    """Random walks with an offset, so that the statistics of any two windows differ."""
    g = torch.Generator().manual_seed(seed)
    noise = torch.randn(*shape, generator=g, dtype=DOUBLE).cumsum(-1) / shape[-1] ** 0.5
    return (spread * (noise + torch.randn(*shape[:-1], 1, generator=g, dtype=DOUBLE))).to(dtype)


def build(seed: int = 0, dtype: torch.dtype = DOUBLE, **options: Any) -> MotifDistance:
    """A distance in eval mode with a learned affine that is not the identity."""
    torch.manual_seed(seed)
    module = MotifDistance(**options)
    with torch.no_grad():
        module.scale.copy_(torch.tensor([0.7, 1.3, 1.9]))
        module.shift.copy_(torch.tensor([0.4, -0.2, 0.1]))
    return module.to(dtype).eval()


def arrays(module: MotifDistance) -> dict[str, oracles.Array]:
    return {name: value.double().numpy() for name, value in module.state_dict().items()}


# --- the reference


@pytest.mark.parametrize("attention", ["sparsemax", "softmax"])
@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ({}, 40),
        ({"channels": 16, "kernel_size": 5, "blocks": 4}, 33),
        ({"blocks": 5}, 24),
        ({"blocks": 1}, 16),
    ],
)
def test_equals_the_reference(options: dict[str, int], steps: int, attention: str) -> None:
    module = build(attention=attention, **options)
    anchors, candidates = windows(1, 2, 3, steps), windows(2, 2, 3, steps)
    weights = arrays(module)
    for b in range(2):
        pair = (anchors[b].numpy(), candidates[b].numpy())
        found = module(anchors, candidates)[b].detach().numpy()
        expected = oracles.motif_reconstruction(weights, *pair, attention)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
        found = module.attention(anchors, candidates)[b].detach().numpy()
        expected = oracles.motif_attention(weights, *pair, attention)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)
        distance = oracles.motif_distance(weights, *pair, attention=attention)
        assert module.distance(anchors, candidates)[b].item() == pytest.approx(distance, rel=1e-9)


def test_defaults_are_the_papers() -> None:
    torch.manual_seed(1)
    module = MotifDistance().double()
    assert torch.equal(module.scale, torch.ones(3, dtype=DOUBLE))
    assert torch.equal(module.shift, torch.zeros(3, dtype=DOUBLE))
    explicit = MotifDistance(64, 15, 2, 0.1, attention="sparsemax", statistics="candidate").double()
    explicit.load_state_dict(module.state_dict())
    a, c = windows(3, 1, 3, 32), windows(4, 1, 3, 32)
    assert torch.equal(module.eval().distance(a, c), explicit.eval().distance(a, c))
    expected = oracles.motif_distance(arrays(module), a[0].numpy(), c[0].numpy(), attention="sparsemax")
    assert module.distance(a, c).item() == pytest.approx(expected, rel=1e-9)


def test_float32_stays_near_the_reference() -> None:
    module = build(dtype=torch.float32)
    a, c = windows(5, 1, 3, 64, dtype=torch.float32), windows(6, 1, 3, 64, dtype=torch.float32)
    expected = oracles.motif_distance(arrays(module), a[0].double().numpy(), c[0].double().numpy())
    assert module.distance(a, c).dtype == torch.float32
    # Instance norms and piecewise linear attention keep float32's 1e-7 within a factor of a thousand.
    assert module.distance(a, c).item() == pytest.approx(expected, rel=1e-4)


# --- distances of many


@pytest.mark.parametrize(("dtype", "rtol"), [(DOUBLE, 1e-10), (torch.float32, 1e-4)])
@pytest.mark.parametrize("statistics", ["candidate", "own"])
@pytest.mark.parametrize("attention", ["sparsemax", "softmax"])
def test_pairwise_and_in_batch_equal_single_distances(
    attention: str, statistics: str, dtype: torch.dtype, rtol: float
) -> None:
    module = build(2, dtype, attention=attention, statistics=statistics, channels=16)
    anchors, candidates = windows(7, 4, 3, 40, dtype=dtype), windows(8, 4, 5, 3, 40, dtype=dtype)
    with torch.no_grad():
        pairwise, in_batch = module.pairwise(anchors, candidates), module.in_batch(anchors)
        assert pairwise.shape == (4, 5)
        assert in_batch.shape == (4, 4)
        for i in range(4):
            for j in range(5):
                single = module.distance(anchors[i : i + 1], candidates[i, j : j + 1])[0]
                torch.testing.assert_close(pairwise[i, j], single, rtol=rtol, atol=0)
            for j in range(4):
                single = module.distance(anchors[i : i + 1], anchors[j : j + 1])[0]
                torch.testing.assert_close(in_batch[i, j], single, rtol=rtol, atol=0)
        everyone = module.pairwise(anchors, anchors.expand(4, 4, 3, 40))
        torch.testing.assert_close(in_batch, everyone, rtol=rtol, atol=0)


@settings(deadline=None, max_examples=15)
@given(batch=st.integers(1, 7), count=st.integers(1, 9), steps=st.integers(8, 40), seed=st.integers(0, 2**31))
def test_each_pair_is_on_its_own(batch: int, count: int, steps: int, seed: int) -> None:
    module = build(3, channels=16)
    anchors, candidates = windows(seed, batch, 3, steps), windows(seed + 1, batch, count, 3, steps)
    with torch.no_grad():
        whole = module.pairwise(anchors, candidates)
        flat = module.distance(anchors.repeat_interleave(count, 0), candidates.flatten(0, 1))
        torch.testing.assert_close(whole, flat.view(batch, count), rtol=1e-9, atol=0)
        flipped = module.pairwise(anchors, candidates.flip(1))
        torch.testing.assert_close(flipped, whole.flip(1), rtol=1e-9, atol=0)
        torch.testing.assert_close(module.in_batch(anchors.flip(0)), module.in_batch(anchors).flip(0, 1))


def test_distance_is_the_summed_squared_error_of_forward() -> None:
    module = build(4)
    a, c = windows(9, 3, 3, 50), windows(10, 3, 3, 50)
    reconstruction = module(a, c)
    assert reconstruction.shape == (3, 3, 50)
    expected = (reconstruction - a).square().sum((1, 2))
    torch.testing.assert_close(module.distance(a, c), expected, rtol=1e-12, atol=0)
    twice = torch.cat([a, a]), torch.cat([c, c])  # a mean over the batch would halve
    torch.testing.assert_close(module.distance(*twice)[:3], module.distance(a, c))


def test_is_not_symmetric() -> None:
    module = build(5)
    d = module.in_batch(windows(11, 3, 3, 64))
    assert ((d - d.T).abs() > 1e-2 * d)[~torch.eye(3, dtype=torch.bool)].all()


# --- statistics


def silence_attention(module: MotifDistance, bias: Tensor) -> None:
    """Make the last linear layer a constant, so that only the undoing of the normalisation is left."""
    with torch.no_grad():
        module.output.weight.zero_()
        module.output.bias.copy_(bias)


@pytest.mark.parametrize("spread", [1.0, 3e-3])
def test_reconstruction_ends_with_the_candidates_sigma_and_mu(spread: float) -> None:
    """``(y - shift) / scale * sigma + mu``, not Eq. 2's printed order; spread 3e-3 shows eps."""
    module, bias = build(6), torch.tensor([0.3, -2.0, 5.0], dtype=DOUBLE)
    silence_attention(module, bias)
    a, c = windows(12, 2, 3, 10), windows(13, 2, 3, 10, spread=spread)
    level = ((bias - module.shift) / module.scale)[:, None]
    expected = level * (c.var(-1, keepdim=True, correction=0) + 1e-5).sqrt() + c.mean(-1, keepdim=True)
    torch.testing.assert_close(module(a, c), expected.expand(-1, -1, 10), rtol=1e-12, atol=1e-12)


@settings(deadline=None, max_examples=20)
@given(
    gain=st.tuples(*[st.floats(0.2, 5.0)] * 3),
    offset=st.tuples(*[st.floats(-300.0, 300.0)] * 3),
    seed=st.integers(0, 2**31),
    statistics=st.sampled_from(["candidate", "own"]),
)
def test_common_gain_and_offset_pass_through(gain: tuple, offset: tuple, seed: int, statistics: str) -> None:
    """Axis by axis x -> g x + o on both windows does the same to the reconstruction: d scales with g ** 2."""
    module = build(7, channels=16, statistics=statistics)
    a, c = windows(seed, 1, 3, 24, spread=100.0), windows(seed + 1, 1, 3, 24, spread=100.0)
    g, o = torch.tensor(gain, dtype=DOUBLE)[:, None], torch.tensor(offset, dtype=DOUBLE)[:, None]
    moved, expected = module(g * a + o, g * c + o), g * module(a, c) + o
    # Sigma is about 20 and more, so the eps of 1e-5 in its square changes the features by less than 1e-7.
    torch.testing.assert_close(moved, expected, rtol=1e-5, atol=1e-4)
    distance = (g * (module(a, c) - a)).square().sum((1, 2))
    torch.testing.assert_close(module.distance(g * a + o, g * c + o), distance, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(("gain", "offset"), [(4.0, 0.0), (1.0, 3.0), (0.3, -1.0)])
def test_relative_magnitude_is_kept_only_by_the_candidates_statistics(gain: float, offset: float) -> None:
    """The anchor's own statistics remove its gain and offset; the candidate's leave them to the attention."""
    a, c = windows(14, 1, 3, 48, spread=100.0), windows(15, 1, 3, 48, spread=100.0)
    moved = gain * a + 100.0 * offset
    own = build(8, statistics="own")
    torch.testing.assert_close(own.attention(moved, c), own.attention(a, c), rtol=0, atol=1e-5)
    shared = build(8, statistics="candidate")
    assert (shared.attention(moved, c) - shared.attention(a, c)).abs().max() > 1e-2


def test_own_statistics_equal_the_reference() -> None:
    module = build(9, statistics="own")
    a, c = windows(16, 1, 3, 32), windows(17, 1, 3, 32)
    weights, pair = arrays(module), (a[0].numpy(), c[0].numpy())
    expected = oracles.motif_attention(weights, *pair, statistics="own")
    np.testing.assert_allclose(module.attention(a, c)[0].detach().numpy(), expected, rtol=0, atol=1e-9)
    expected = oracles.motif_reconstruction(weights, *pair, statistics="own")
    np.testing.assert_allclose(module(a, c)[0].detach().numpy(), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("statistics", ["candidate", "own"])
@pytest.mark.parametrize("attention", ["sparsemax", "softmax"])
def test_still_windows_stay_finite(attention: str, statistics: str) -> None:
    module = build(10, torch.float32, attention=attention, statistics=statistics)
    still = torch.tensor([0.0, 0.0, 1.0])[:, None].expand(3, 64)
    moving = windows(18, 3, 64, dtype=torch.float32)
    anchors = torch.stack([still, still, moving]).requires_grad_()
    candidates = torch.stack([still, moving, still]).requires_grad_()
    distance = module.distance(anchors, candidates)
    distance.sum().backward()
    for tensor in (distance, anchors.grad, candidates.grad, *(p.grad for p in module.parameters())):
        assert torch.isfinite(tensor).all()


# --- attention and dropout


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("attention", ["sparsemax", "softmax"])
def test_sparsemax_has_exact_zeros_and_softmax_has_none(attention: str, training: bool) -> None:
    module = build(11, dropout=0.0, attention=attention).train(training)
    w = module.attention(windows(19, 2, 3, 64), windows(20, 2, 3, 64))
    assert w.shape == (2, 64, 64)
    torch.testing.assert_close(w.sum(-1), torch.ones(2, 64, dtype=DOUBLE), rtol=0, atol=1e-10)
    zeros = (w == 0).double().mean()
    assert zeros > 0.5 if attention == "sparsemax" else zeros == 0
    assert (w >= 0).all()


@pytest.mark.parametrize("attention", ["sparsemax", "softmax"])
def test_ranking_uses_the_distance_that_was_trained(attention: str) -> None:
    """Dropout apart, training and evaluation compute one function, and so do the four entry points."""
    module = build(12, attention=attention, dropout=0.0)
    a = windows(21, 2, 3, 48)
    frozen = module(a, a.flip(0)), module.distance(a, a.flip(0))
    module.train()
    torch.testing.assert_close(module(a, a.flip(0)), frozen[0], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(module.in_batch(a).flip(1).diagonal(), frozen[1], rtol=1e-9, atol=0)
    torch.testing.assert_close(module.pairwise(a, a.flip(0)[:, None])[:, 0], frozen[1], rtol=1e-9, atol=0)
    expected = oracles.motif_distance(arrays(module), a[0].numpy(), a[1].numpy(), attention=attention)
    assert frozen[1][0].item() == pytest.approx(expected, rel=1e-9)


def test_an_unknown_attention_or_statistics_is_refused() -> None:
    with pytest.raises(ValueError, match="sparsmax"):
        MotifDistance(attention="sparsmax")
    with pytest.raises(ValueError, match="anchor"):
        MotifDistance(statistics="anchor")


def test_dropout_acts_in_training_only() -> None:
    module = build(13, dropout=0.5)
    a, c = windows(22, 2, 3, 48), windows(23, 2, 3, 48)
    without = module(a, c)
    assert torch.equal(module(a, c), without)
    assert torch.equal(module.distance(a, c), module.distance(a, c))
    assert torch.equal(module.in_batch(a), module.in_batch(a))
    module.train()
    draws = torch.stack([module(a, c).detach() for _ in range(400)])
    assert (draws[0] - draws[1]).abs().max() > 1e-3
    # Dropout on the weights, after which all is linear, is unbiased: 400 draws average to the plain result.
    error = (draws.mean(0) - without).abs() / (draws.std(0) / 20 + 1e-9)
    assert error.mean() < 1.5


def test_gradients_reach_every_parameter() -> None:
    module = build(14, dropout=0.1).train()
    module.distance(windows(24, 4, 3, 64), windows(25, 4, 3, 64)).mean().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name
    assert len(list(module.parameters())) == len(module.state_dict())  # the three nets share none


def test_gradient_is_the_derivative() -> None:
    module = build(15, channels=4, kernel_size=3)
    a, c = windows(26, 1, 3, 6).requires_grad_(), windows(27, 1, 3, 6).requires_grad_()
    assert torch.autograd.gradcheck(module.distance, (a, c))


@pytest.mark.parametrize("steps", [64, 200, 256, 1000])
def test_any_length(steps: int) -> None:
    module = build(16, torch.float32)
    a, c = windows(28, 1, 3, steps, dtype=torch.float32), windows(29, 1, 3, steps, dtype=torch.float32)
    with torch.no_grad():
        assert module(a, c).shape == (1, 3, steps)
        assert module.attention(a, c).shape == (1, steps, steps)
        assert torch.isfinite(module.in_batch(torch.cat([a, c]))).all()
