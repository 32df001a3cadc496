"""The encoders: size and layout of the reference code (paper, section 4.1), any length, one window at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from relcon_lightning import nets
from relcon_lightning.errors import ConfigError
from relcon_lightning.nets import resnet18_1d, resnet34_1d, small_resnet_1d
from relcon_lightning.nets.resnet1d import PreActivationBlock

ENCODERS = [resnet34_1d, small_resnet_1d]
STAGES = ((3, 64, 3), (4, 128, 4), (6, 256, 4))  # blocks, width, kernel


def windows(seed: int, batch: int, steps: int, dtype: torch.dtype = torch.float32) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 3, steps, generator=g, dtype=torch.float64).to(dtype)


def settled(factory: Callable[[], nn.Module], dtype: torch.dtype = torch.float32) -> nn.Module:
    """An encoder in eval mode whose running statistics are no longer the initial ones."""
    torch.manual_seed(0)
    encoder = factory().to(dtype).train()
    with torch.no_grad():
        for seed in range(3):
            encoder(windows(seed, 8, 64, dtype) * 2.0 + 0.5)
    return encoder.eval()


def expected_convolutions() -> Counter[tuple[int, int, int, int]]:
    """(in, out, kernel, stride) of each convolution in the reference code."""
    found = Counter([(3, 64, 7, 2)])
    width = 64
    for blocks, out, kernel in STAGES:
        for _ in range(blocks):
            found[width, out, kernel, 1] += 1
            found[out, out, kernel, 1] += 1
            if width != out:
                found[width, out, 1, 1] += 1
            width = out
    return found


def expected_parameters() -> int:
    """Weights and biases of the convolutions, two numbers a channel for each BatchNorm: counted by hand."""
    convolutions = sum(n * (i * o * k + o) for (i, o, k, _), n in expected_convolutions().items())
    norms = 2 * 64  # stem
    width = 64
    for blocks, out, _ in STAGES:
        for _ in range(blocks):
            norms += 2 * (width + out)
            width = out
    return convolutions + norms


def test_resnet34_has_the_layouts_number_of_parameters() -> None:
    """3,635,840 is what the published layout gives; the paper's text says 3.96M."""
    assert expected_parameters() == 3_635_840
    assert sum(p.numel() for p in resnet34_1d().parameters()) == expected_parameters()


def test_resnet34_has_the_layouts_convolutions() -> None:
    found = Counter(
        (m.in_channels, m.out_channels, m.kernel_size[0], m.stride[0])
        for m in resnet34_1d().modules()
        if isinstance(m, nn.Conv1d)
    )
    assert found == expected_convolutions()


def test_resnet34_normalises_before_it_convolves() -> None:
    """In order of execution: conv, norm, then norm-conv-norm-conv in each of 13 blocks, nothing behind."""
    encoder, calls = resnet34_1d().eval(), []

    def note(module: nn.Module, *_: object) -> None:
        if isinstance(module, nn.BatchNorm2d):
            calls.append("norm")
        elif isinstance(module, nn.Conv1d) and module.kernel_size != (1,):
            calls.append("conv")

    for module in encoder.modules():
        module.register_forward_hook(note)
    encoder(windows(0, 1, 64))
    assert calls == ["conv", "norm"] + ["norm", "conv"] * 26


def test_resnet34_keeps_its_length_after_the_stem() -> None:
    encoder, lengths = resnet34_1d().eval(), []
    for module in encoder.modules():
        if isinstance(module, nn.Conv1d) and module.stride == (1,):
            module.register_forward_hook(lambda _m, _i, out: lengths.append(out.shape[-1]))
    encoder(windows(0, 1, 256))
    assert len(lengths) == 28
    assert len(set(lengths)) == 1
    assert lengths[0] == 62  # 256 / 4, less what the stem without padding loses at the ends


def test_resnet34_pools_by_the_mean_over_time() -> None:
    """On a signal of period 4 (one step after the stem) length x embedding is affine in the length."""
    encoder = settled(resnet34_1d, torch.float64)
    period = windows(1, 1, 4, torch.float64)
    lengths, embeddings = [], []
    stride_one = next(m for m in encoder.modules() if isinstance(m, nn.Conv1d) and m.stride == (1,))
    stride_one.register_forward_hook(lambda _m, _i, out: lengths.append(out.shape[-1]))
    with torch.no_grad():
        for repeats in (100, 200, 300):
            embeddings.append(encoder(period.repeat(1, 1, repeats)))
    assert lengths[1] - lengths[0] == lengths[2] - lengths[1] == 100
    sums = [n * e for n, e in zip(lengths, embeddings, strict=True)]
    torch.testing.assert_close(sums[2] - sums[1], sums[1] - sums[0], rtol=1e-9, atol=1e-9)
    assert (embeddings[0] - embeddings[1]).abs().max() > 1e-4  # a maximum or a last step would not move


def test_resnet34_has_no_activation_after_the_last_block() -> None:
    assert (settled(resnet34_1d)(windows(2, 4, 128)) < 0).any()


def test_dimensions_are_the_papers() -> None:
    assert resnet34_1d().dim == 256
    encoder = nets.resnet18_1d().eval()
    assert encoder.dim == 1024
    for steps in (200, 256, 1000):
        assert encoder(windows(3, 2, steps)).shape == (2, 1024)


def test_small_is_small() -> None:
    count = {f: sum(p.numel() for p in f().parameters()) for f in ENCODERS}
    assert count[small_resnet_1d] < count[resnet34_1d] / 5


@pytest.mark.parametrize("steps", [32, 33, 200, 1000])
@pytest.mark.parametrize("factory", ENCODERS)
def test_any_length(factory: Callable[[], nn.Module], steps: int) -> None:
    encoder = factory().eval()
    with torch.no_grad():
        embedding = encoder(windows(4, 2, steps))
    assert embedding.shape == (2, encoder.dim)
    assert torch.isfinite(embedding).all()


@pytest.mark.parametrize("factory", ENCODERS)
def test_windows_are_independent_in_eval(factory: Callable[[], nn.Module]) -> None:
    encoder = settled(factory, torch.float64)
    x = windows(5, 5, 64, torch.float64)
    with torch.no_grad():
        together = encoder(x)
        assert torch.equal(encoder(x), together)
        alone = torch.cat([encoder(row[None]) for row in x])
        others_changed = encoder(torch.cat([x[:1], 1e3 * x[1:]]))
    torch.testing.assert_close(alone, together, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(others_changed[0], together[0], rtol=1e-9, atol=1e-9)
    assert (together[0] - together[1]).abs().max() > 1e-3


@pytest.mark.parametrize("factory", ENCODERS)
def test_gradients_reach_every_parameter(factory: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    encoder = factory().double().train()
    x = windows(6, 4, 64, torch.float64)
    (encoder(x) * torch.randn(4, encoder.dim, dtype=torch.float64)).sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        if not name.endswith("bias"):  # a bias before a BatchNorm has none to receive
            assert parameter.grad.abs().max() > 0, name


def test_spread_pools_mean_and_standard_deviation_over_time() -> None:
    torch.manual_seed(0)
    encoder = nets.ResNet1d((8, 16), (1, 1), (3, 3), spread=True).eval()
    x = torch.randn(3, 3, 100)
    features = encoder.features(x).detach().numpy()
    expected = np.concatenate([features.mean(-1), features.std(-1)], axis=1)
    assert encoder.dim == 32
    np.testing.assert_allclose(encoder(x).detach().numpy(), expected, rtol=1e-3, atol=1e-4)


def test_spread_of_a_constant_window_has_a_finite_gradient() -> None:
    encoder = nets.small_resnet_1d().eval()
    encoder(torch.zeros(2, 3, 64)).sum().backward()
    assert all(p.grad.isfinite().all() for p in encoder.parameters() if p.grad is not None)


@pytest.mark.parametrize("make", [small_resnet_1d, resnet34_1d, resnet18_1d])
def test_recomputing_changes_nothing_but_the_memory(make) -> None:
    torch.manual_seed(0)
    plain = make()
    frugal = make(recompute=True)
    frugal.load_state_dict(plain.state_dict())
    kept = {}
    for name, net in (("plain", plain), ("frugal", frugal)):
        kept[name] = []

        def count(tensor, sizes=kept[name]):
            sizes.append(tensor.numel())
            return tensor

        x = torch.randn(4, 3, 128, generator=torch.Generator().manual_seed(1))
        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            z = net(x)
        z.square().sum().backward()
    for (name, a), b in zip(plain.named_parameters(), frugal.parameters(), strict=True):
        assert torch.equal(a.grad, b.grad), name
    for (name, a), b in zip(plain.state_dict().items(), frugal.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    assert sum(kept["frugal"]) < sum(kept["plain"]) / 2
    assert torch.equal(plain.eval()(x), frugal.eval()(x))


def in_one_dimension(encoder: nn.Module, x: Tensor) -> Tensor:
    """Embeddings by operations in 1D, from the weights of an encoder without spread."""
    weights = encoder.state_dict()

    def norm(name: str, x: Tensor) -> Tensor:
        mean, variance = x.mean((0, 2)), x.var((0, 2), correction=0)
        if not encoder.training:
            mean, variance = weights[f"{name}.running_mean"], weights[f"{name}.running_var"]
        x = (x - mean[:, None]) / (variance[:, None] + 1e-5).sqrt()
        return F.relu(x * weights[f"{name}.weight"][:, None] + weights[f"{name}.bias"][:, None])

    def conv(name: str, x: Tensor, **options: object) -> Tensor:
        return F.conv1d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], **options)

    edge = int(encoder.stem[0].padded)
    x = F.max_pool1d(norm("stem.1", conv("stem.0", x, stride=2, padding=3 * edge)), 3, 2, edge)
    for i, layer in enumerate(encoder.blocks):
        name = f"blocks.{i}"
        if isinstance(layer, PreActivationBlock):
            y = conv(f"{name}.conv1", norm(f"{name}.norm1", x), padding="same")
            y = conv(f"{name}.conv2", norm(f"{name}.norm2", y), padding="same")
            x = y + (conv(f"{name}.shortcut", x) if f"{name}.shortcut.weight" in weights else x)
        elif isinstance(layer, nn.AvgPool2d):
            x = F.avg_pool1d(x, 2, ceil_mode=True)
        elif isinstance(layer, nn.BatchNorm2d):
            x = norm(name, x)
        elif isinstance(layer, nn.Conv1d):
            x = conv(name, x, padding="same")
    return x.mean(-1)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("steps", [64, 201])
@pytest.mark.parametrize("stem", ["unpadded", "padded"])
@pytest.mark.parametrize("factory", [resnet34_1d, resnet18_1d])
def test_images_one_pixel_high_are_signals(
    factory: Callable[..., nn.Module], steps: int, training: bool, stem: str
) -> None:
    encoder = settled(partial(factory, stem=stem), torch.float64).train(training)
    x = windows(7, 3, steps, torch.float64)
    expected = in_one_dimension(encoder, x)
    with torch.no_grad():
        torch.testing.assert_close(encoder(x), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("factory", [resnet34_1d, resnet18_1d, small_resnet_1d])
def test_channels_stay_last(factory: Callable[[], nn.Module]) -> None:
    """One layer that falls back to channels first makes all that follow it slow, and nobody would see."""
    encoder, seen = factory(), []

    def note(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        seen.extend(x.is_contiguous(memory_format=torch.channels_last) for x in (*inputs, output))

    for module in encoder.modules():
        if isinstance(module, nn.Conv1d | nn.BatchNorm2d | nn.MaxPool2d | nn.AvgPool2d):
            module.register_forward_hook(note)
    encoder(windows(8, 4, 128))
    assert len(seen) > 20
    assert all(seen)


@pytest.mark.parametrize(
    ("make", "width", "dim"), [(resnet34_1d, 8, 32), (resnet18_1d, 4, 64), (small_resnet_1d, 6, 48)]
)
def test_the_width_of_the_nets_that_ship_can_be_set(make, width, dim):
    net = make(width=width).eval()
    assert net.dim == dim
    assert net.stem[0].weight.shape[0] == width
    assert net(torch.zeros(1, 3, 256)).shape == (1, dim)


@pytest.mark.parametrize("width", [0, -1, 2.5, "64"])
def test_a_width_that_is_no_number_of_channels_is_refused(width):
    with pytest.raises(ConfigError, match=r"encoder\.width="):
        small_resnet_1d(width=width)
