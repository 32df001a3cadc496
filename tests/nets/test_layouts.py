"""Distance and encoder against plain float64 versions of the published layouts, which share no code with the package.

They are numpy, one window and one output sample at a time. The distance: first a partial convolution (Liu et al. 2018),
GELU and InstanceNorm, then residual blocks; candidate statistics; sparsemax by sorting. The encoder: a stem without
padding, pre-activation blocks, the mean over time.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import erf, sqrt

import numpy as np
import pytest
import torch

from relcon_lightning.errors import ConfigError
from relcon_lightning.nets import MotifDistance, ResNet1d, resnet18_1d, resnet34_1d, small_resnet_1d
from relcon_lightning.nets.dilated_conv import DilatedConvNet

RELATIVE = 1e-5


class Weights:
    """Hands out the tensors of a net by the end of their names."""

    def __init__(self, net: torch.nn.Module) -> None:
        self.tensors = {name: value.double().numpy() for name, value in net.state_dict().items()}

    def __call__(self, *names: str) -> np.ndarray:
        return self.tensors[".".join(names)]

    def __contains__(self, name: str) -> bool:
        return any(key.startswith(f"{name}.") for key in self.tensors)


def taps_at(signal: np.ndarray, t: int, kernel: int, dilation: int = 1) -> Iterator[tuple[int, np.ndarray]]:
    """The taps of an odd kernel centred on ``t`` that lie inside the signal, and the samples below them."""
    for tap in range(kernel):
        place = t + (tap - kernel // 2) * dilation
        if 0 <= place < signal.shape[1]:
            yield tap, signal[:, place]


def centred(signal: np.ndarray, weight: np.ndarray, bias: np.ndarray, dilation: int = 1) -> np.ndarray:
    """A convolution with an odd kernel and zeros beyond the edges."""
    out = [
        bias + sum(weight[:, :, k] @ x for k, x in taps_at(signal, t, weight.shape[2], dilation))
        for t in range(signal.shape[1])
    ]
    return np.stack(out, axis=1)


def partial(signal: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """At an edge, the sum of the taps that are left is scaled up to the whole kernel; the bias is not."""
    out = []
    for t in range(signal.shape[1]):
        products = [weight[:, :, k] @ x for k, x in taps_at(signal, t, weight.shape[2])]
        out.append(np.sum(products, axis=0) * weight.shape[2] / len(products) + bias)
    return np.stack(out, axis=1)


def activated(x: np.ndarray) -> np.ndarray:
    """GELU, then InstanceNorm without running statistics and affine."""
    x = np.vectorize(lambda v: v * (1 + erf(v / sqrt(2))) / 2)(x)
    return np.stack([(row - row.mean()) / sqrt(((row - row.mean()) ** 2).mean() + 1e-5) for row in x])


def motif_features(w: Weights, net: str, x: np.ndarray) -> np.ndarray:
    """One of f_q, f_k, f_v."""
    h, block = activated(partial(x, w(net, "stem.weight"), w(net, "stem.bias"))), 0
    while f"{net}.blocks.{block}" in w:
        squeeze, dilated = (f"{net}.blocks.{block}.{part}" for part in ("squeeze", "dilated"))
        narrow = w(squeeze, "weight")[:, :, 0] @ h + w(squeeze, "bias")[:, None]
        h = activated(h + centred(narrow, w(dilated, "weight"), w(dilated, "bias"), 2**block))
        block += 1
    return h


def simplex(z: np.ndarray) -> np.ndarray:
    """The point of the simplex nearest to ``z``: the largest support whose smallest entry stays positive."""
    for size in range(len(z), 0, -1):
        largest = np.sort(z)[::-1][:size]
        excess = (largest.sum() - 1) / size
        if largest[-1] > excess:
            return np.maximum(z - excess, 0)
    raise AssertionError


def published_distance(w: Weights, anchor: np.ndarray, candidate: np.ndarray) -> float:
    """Eq. 1-4."""
    mu = candidate.mean(axis=1, keepdims=True)
    sigma = np.sqrt(((candidate - mu) ** 2).mean(axis=1, keepdims=True) + 1e-5)
    gain, offset = w("scale")[:, None], w("shift")[:, None]
    a, c = ((x - mu) / sigma * gain + offset for x in (anchor, candidate))
    q, k, v = motif_features(w, "query", a), motif_features(w, "key", c), motif_features(w, "value", c)
    out = np.stack([v @ simplex(q[:, t] @ k / sqrt(len(q))) for t in range(q.shape[1])], axis=1)
    rebuilt = (w("output.weight") @ out + w("output.bias")[:, None] - offset) / gain * sigma + mu
    return float(((rebuilt - anchor) ** 2).sum())


def strided(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Kernel inside the signal, every second position."""
    size = weight.shape[2]
    places = range(0, x.shape[1] - size + 1, 2)
    return np.stack([np.einsum("oik,ik->o", weight, x[:, p : p + size]) + bias for p in places], axis=1)


def same_length(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Zeros around the signal, an odd one behind it."""
    size = weight.shape[2]
    wide = np.pad(x, ((0, 0), ((size - 1) // 2, size // 2)))
    return np.stack([np.einsum("oik,ik->o", weight, wide[:, p : p + size]) + bias for p in range(x.shape[1])], axis=1)


def bn_relu(w: Weights, name: str, x: np.ndarray) -> np.ndarray:
    """With running statistics."""
    scale = w(name, "weight") / np.sqrt(w(name, "running_var") + 1e-5)
    return np.maximum((x - w(name, "running_mean")[:, None]) * scale[:, None] + w(name, "bias")[:, None], 0)


def published_embedding(w: Weights, x: np.ndarray, lengths: list[int], spread: bool = False) -> np.ndarray:
    """Stem, blocks, mean over time; ``lengths`` gets the samples after each layer of the stem."""
    x = bn_relu(w, "stem.1", strided(x, w("stem.0.weight"), w("stem.0.bias")))
    lengths.append(x.shape[1])
    x = np.stack([x[:, p : p + 3].max(axis=1) for p in range(0, x.shape[1] - 2, 2)], axis=1)
    lengths.append(x.shape[1])
    block = 0
    while f"blocks.{block}" in w:
        name = f"blocks.{block}"
        y = same_length(bn_relu(w, f"{name}.norm1", x), w(name, "conv1.weight"), w(name, "conv1.bias"))
        y = same_length(bn_relu(w, f"{name}.norm2", y), w(name, "conv2.weight"), w(name, "conv2.bias"))
        if f"{name}.shortcut" in w:
            x = w(name, "shortcut.weight")[:, :, 0] @ x + w(name, "shortcut.bias")[:, None]
        x, block = x + y, block + 1
    return np.concatenate([x.mean(axis=1), np.sqrt(x.var(axis=1) + 1e-5)]) if spread else x.mean(axis=1)


def windows(seed: int, count: int, time: int) -> torch.Tensor:
    """Windows of movement with an offset and a magnitude of their own."""
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 3, time, generator=g, dtype=torch.float64).cumsum(-1) / 8
    return x + torch.randn(count, 3, 1, generator=g, dtype=torch.float64)


@torch.no_grad()
def randomised(net: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """In evaluation mode, with every parameter and running statistic away from its first value."""
    g = torch.Generator().manual_seed(seed)
    for name, value in net.state_dict().items():
        if value.is_floating_point():
            value += 0.1 * torch.randn(value.shape, generator=g) if "running_var" not in name else 0.3
    return net.eval()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("time", [256, 61, 9])  # 9: every position is at an edge
@torch.no_grad()
def test_distances_are_those_of_the_published_layout(time, dtype):
    torch.manual_seed(0)
    net = randomised(MotifDistance())
    x = windows(1, 3, time)
    expected = np.array([[published_distance(Weights(net), a, c) for c in x.numpy()] for a in x.numpy()[:2]])
    net, x = net.to(dtype), x.to(dtype)
    np.testing.assert_allclose(net.between(x[:2], x).double().numpy(), expected, rtol=RELATIVE)
    others = x.expand(2, *x.shape)
    np.testing.assert_allclose(net.pairwise(x[:2], others).double().numpy(), expected, rtol=RELATIVE)


@torch.no_grad()
def test_compiled_distances_are_those_of_the_published_layout():
    torch.manual_seed(0)
    net = randomised(MotifDistance(fused=True, chunk=4))
    x = windows(1, 2, 61)
    expected = np.array([[published_distance(Weights(net), a, c) for c in x.numpy()] for a in x.numpy()])
    np.testing.assert_allclose(net.in_batch(x.float()).double().numpy(), expected, rtol=RELATIVE)
    assert net.fused


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(
    ("make", "time", "lengths"),
    [(resnet34_1d, 256, [125, 62]), (small_resnet_1d, 201, [98, 48]), (small_resnet_1d, 11, [3, 1])],
)
@torch.no_grad()
def test_embeddings_are_those_of_the_published_layout(make, time, lengths, dtype):
    torch.manual_seed(0)
    net, x, found = randomised(make()), windows(2, 2, time), []
    expected = np.stack([published_embedding(Weights(net), one, found, net.spread) for one in x.numpy()])
    assert found[:2] == lengths
    z = net.to(dtype)(x.to(dtype)).double().numpy()
    assert np.linalg.norm(z - expected) <= RELATIVE * np.linalg.norm(expected)


@pytest.mark.parametrize("make", [resnet34_1d, resnet18_1d, small_resnet_1d])
def test_the_other_stem_has_the_same_weights_and_another_length(make):
    torch.manual_seed(0)
    ours = make().eval()
    padded = make(stem="padded").eval()
    padded.load_state_dict(ours.state_dict())
    x = windows(3, 1, 256).float()
    assert (ours.stem(x[:, :, None]).shape[-1], padded.stem(x[:, :, None]).shape[-1]) == (62, 64)
    assert not torch.allclose(ours(x), padded(x), rtol=1e-3)


def test_stems_of_other_names_and_windows_that_are_too_short_are_refused():
    with pytest.raises(ConfigError, match=r"encoder\.stem='same': expected unpadded or padded"):
        ResNet1d((4,), (1,), (3,), stem="same")
    with pytest.raises(ConfigError, match="stem='unpadded' of the motif distance: expected partial or padded"):
        MotifDistance(stem="unpadded")
    with pytest.raises(ConfigError, match="Windows of 10 samples: this encoder needs 11"):
        small_resnet_1d()(torch.zeros(1, 3, 10))
    assert small_resnet_1d(stem="padded").eval()(torch.zeros(1, 3, 1)).isfinite().all()


@torch.no_grad()
def test_the_padded_stem_of_the_distance_is_a_plain_convolution():
    torch.manual_seed(0)
    net, x = DilatedConvNet(blocks=0, stem="padded").double(), windows(4, 1, 40)
    expected = centred(x[0].numpy(), net.stem.weight.numpy(), net.stem.bias.numpy())
    np.testing.assert_allclose(net(x)[0].numpy(), expected, atol=1e-12)
