"""Forward and backward pass of the encoder in several layouts, number types and compilers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from benchmarks.machine import Machine
from benchmarks.material import Size, windows
from benchmarks.timing import Row, Variant, compare, count_flops
from relcon_lightning.nets import ResNet1d
from relcon_lightning.nets.as_images import AsImages

# Of the gradient of all weights, by its distance from the eager float32 one over its length.
GRADIENT_ERROR = {torch.float32: 1e-2, torch.bfloat16: 0.25}


def ways(encoder: ResNet1d) -> Iterator[tuple[str, nn.Module, torch.dtype]]:
    """Name, encoder and number type; the reference first."""
    images = AsImages(encoder)
    compiled, compiled_images = (torch.compile(copy.deepcopy(net), dynamic=False) for net in (encoder, images))
    yield "eager", encoder, torch.float32
    yield "channels last", images, torch.float32
    yield "compiled", compiled, torch.float32
    yield "eager, bfloat16", encoder, torch.bfloat16
    yield "channels last, bfloat16", images, torch.bfloat16
    yield "compiled, bfloat16", compiled, torch.bfloat16
    yield "channels last, compiled, bfloat16", compiled_images, torch.bfloat16


def forward_backward(net: nn.Module, x: Tensor, dtype: torch.dtype) -> Callable[[], Tensor]:
    """A run that gives the gradient of the weights for a fixed gradient of the embeddings."""
    generator = torch.Generator().manual_seed(0)
    weights = list(net.parameters())

    def run() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            z = net(x).float()
        towards = torch.randn(z.shape, generator=generator.manual_seed(0))
        return torch.cat([g.flatten() for g in torch.autograd.grad(z, weights, towards)])

    return run


def rows(size: Size, machine: Machine) -> list[Row]:
    """All ways beside eager float32."""
    x = windows(size, size.encoder_windows)
    torch.manual_seed(0)
    encoder = size.encoder()
    exact = forward_backward(encoder, x, torch.float32)()
    flops = count_flops(forward_backward(encoder, x, torch.float32))
    variants = []
    for name, net, dtype in ways(encoder):
        run = forward_backward(net, x, dtype)
        error = float((run() - exact).norm() / exact.norm())
        assert error <= GRADIENT_ERROR[dtype], f"{name}: the gradient is {error:.2g} of its length away"
        variants.append(Variant(name, run, flops, dtype, f"gradient off by {error:.1e}", len(x)))
    group = f"encoder forward and backward, {len(x)} windows"
    return compare(group, variants, machine, size.rounds, memory=True, unit="windows/s")
