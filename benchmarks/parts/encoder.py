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

# Of the gradient of all weights, by its distance from the eager float32 one over its length.
GRADIENT_ERROR = {torch.float32: 1e-2, torch.bfloat16: 0.25}


class AsImages(nn.Module):
    """The same encoder on images one pixel high, channels last: convolutions in 1D know no such layout."""

    def __init__(self, encoder: ResNet1d) -> None:
        super().__init__()
        self.encoder = _lifted(copy.deepcopy(encoder)).to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """As the encoder."""
        embeddings: Tensor = self.encoder(x[:, :, None].contiguous(memory_format=torch.channels_last))
        return embeddings.flatten(1)


def _lifted(module: nn.Module) -> nn.Module:
    for name, child in module.named_children():
        setattr(module, name, _lifted_layer(child))
    return module


def _lifted_layer(layer: nn.Module) -> nn.Module:
    if isinstance(layer, nn.Conv1d):
        padding = layer.padding if isinstance(layer.padding, str) else (0, layer.padding[0])
        image = nn.Conv2d(
            layer.in_channels, layer.out_channels, (1, layer.kernel_size[0]), (1, layer.stride[0]), padding
        )
        return _filled(image, layer)
    if isinstance(layer, nn.BatchNorm1d):
        return _filled(nn.BatchNorm2d(layer.num_features), layer)
    if isinstance(layer, nn.MaxPool1d):
        return nn.MaxPool2d((1, layer.kernel_size), (1, layer.stride), (0, layer.padding))
    return _lifted(layer)


def _filled(image: nn.Module, layer: nn.Module) -> nn.Module:
    """Weights of ``layer`` with the height of the kernel put in where it is missing."""
    own = image.state_dict()
    image.load_state_dict({name: value.view_as(own[name]) for name, value in layer.state_dict().items()})
    return image


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
