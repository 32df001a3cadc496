"""Forward and backward pass of the encoder: operations in 1D, and ours in two data types, eager and compiled."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.machine import Machine
from benchmarks.material import Size, windows
from benchmarks.timing import Row, Variant, compare, count_flops
from relcon_lightning.nets import ResNet1d
from relcon_lightning.nets.resnet1d import PreActivationBlock

# Maximum distance of the gradient of all weights from the eager float32 one, relative to the length of the latter.
GRADIENT_ERROR = {torch.float32: 1e-2, torch.bfloat16: 0.25}


class PlainEncoder(nn.Module):
    """The encoder built from 1D operations, with the mean over time."""

    def __init__(self, encoder: ResNet1d) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Tensor) -> Tensor:
        """Map windows ``(B, 3, T)`` to embeddings ``(B, dim)``."""
        convolution, norm = self.encoder.stem[0], self.encoder.stem[1]
        assert isinstance(convolution, nn.Conv1d)
        assert isinstance(norm, nn.BatchNorm2d)
        x = F.conv1d(x, convolution.weight, convolution.bias, stride=2)
        x = F.max_pool1d(normalised(norm, x), 3, 2)
        for block in self.encoder.blocks:
            assert isinstance(block, PreActivationBlock)
            y = convolved(block.conv1, normalised(block.norm1, x))
            y = convolved(block.conv2, normalised(block.norm2, y))
            x = y + (x if isinstance(block.shortcut, nn.Identity) else convolved(cast(nn.Conv1d, block.shortcut), x))
        return x.mean(-1)


def convolved(layer: nn.Conv1d, x: Tensor) -> Tensor:
    """Apply the convolution with padding, which keeps the length."""
    return F.conv1d(x, layer.weight, layer.bias, padding="same")


def normalised(norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """Batch normalisation, with the statistics of the batch in training, and ReLU."""
    statistics = norm.running_mean, norm.running_var
    return F.relu(F.batch_norm(x, *statistics, norm.weight, norm.bias, norm.training, norm.momentum or 0.0, norm.eps))


def ways(encoder: ResNet1d) -> Iterator[tuple[str, nn.Module, torch.dtype]]:
    """Name, encoder and data type of each variant; the reference first."""
    plain, compiled = PlainEncoder(encoder), cast(nn.Module, torch.compile(copy.deepcopy(encoder), dynamic=False))
    yield "in 1D", plain, torch.float32
    yield "ours", encoder, torch.float32
    yield "ours, compiled", compiled, torch.float32
    yield "in 1D, bfloat16", plain, torch.bfloat16
    yield "ours, bfloat16", encoder, torch.bfloat16
    yield "ours, compiled, bfloat16", compiled, torch.bfloat16


def forward_backward(net: nn.Module, x: Tensor, dtype: torch.dtype) -> Callable[[], Tensor]:
    """Function that computes the gradient of the weights for a fixed gradient of the embeddings."""
    generator = torch.Generator().manual_seed(0)
    weights = list(net.parameters())

    def run() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            z = net(x).float()
        towards = torch.randn(z.shape, generator=generator.manual_seed(0))
        return torch.cat([g.flatten() for g in torch.autograd.grad(z, weights, towards)])

    return run


def rows(size: Size, machine: Machine) -> list[Row]:
    """Rows for all variants, compared with operations in 1D."""
    x = windows(size, size.encoder_windows)
    torch.manual_seed(0)
    encoder = size.encoder()
    exact = forward_backward(PlainEncoder(encoder), x, torch.float32)()
    flops = count_flops(forward_backward(encoder, x, torch.float32))
    variants = []
    for name, net, dtype in ways(encoder):
        run = forward_backward(net, x, dtype)
        error = float((run() - exact).norm() / exact.norm())
        assert error <= GRADIENT_ERROR[dtype], f"{name}: the gradient is {error:.2g} of its length away"
        variants.append(Variant(name, run, flops, dtype, f"gradient off by {error:.1e}", len(x)))
    group = f"encoder forward and backward, {len(x)} windows"
    return compare(group, variants, machine, size.rounds, memory=True, unit="windows/s")
