"""1D residual encoders. Average pooling over time lets them accept windows of any length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from relcon_lightning.errors import ConfigError
from relcon_lightning.nets.base import check_length

Stem = Literal["unpadded", "padded"]
_KERNEL, _POOL, _STRIDE = 7, 3, 2  # of the stem, in samples


class Convolution(nn.Conv1d):
    """A 1D convolution on images one pixel high, which can use a channels-last layout.

    The signal is padded with zeros, so that only the stride changes its length. With an even kernel, one more zero is
    added after the signal than before it, as with ``padding="same"``. Without padding, the kernel stays inside.
    """

    def __init__(self, width_in: int, width: int, kernel_size: int, stride: int = 1, padded: bool = True) -> None:
        super().__init__(width_in, width, kernel_size, stride=stride)
        self.padded = padded

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, in_channels, 1, L)`` to ``(B, out_channels, 1, L')``; stride and missing padding shorten L."""
        if not self.padded:
            return F.conv2d(x, self.weight[:, :, None], self.bias, (1, *self.stride))
        before, even = divmod(self.kernel_size[0] - 1, 2)
        padded = F.pad(x, (0, 1)) if even else x
        return F.conv2d(padded, self.weight[:, :, None], self.bias, (1, *self.stride), (0, before))


class PreActivationBlock(nn.Module):
    """BN, ReLU, conv, BN, ReLU, conv, plus the input (He et al. 2016b); a 1x1 shortcut if the width changes."""

    def __init__(self, width_in: int, width: int, kernel_size: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(width_in)
        self.conv1 = Convolution(width_in, width, kernel_size)
        self.norm2 = nn.BatchNorm2d(width)
        self.conv2 = Convolution(width, width, kernel_size)
        self.shortcut = nn.Identity() if width_in == width else Convolution(width_in, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, width_in, 1, L)`` to ``(B, width, 1, L)``."""
        y = self.conv1(F.relu(self.norm1(x)))
        y = self.conv2(F.relu(self.norm2(y)))
        out: Tensor = y + self.shortcut(x)
        return out


class ResNet1d(nn.Module):
    """Stem (convolution kernel 7 stride 2, BN, ReLU, max-pool 3 stride 2), stages of blocks, mean over time.

    The signal is stored as an image one pixel high. This allows the channels-last layout, which is the fastest and does
    not exist for 1D signals.

    Args:
        widths: Number of channels of each stage.
        depths: Number of blocks of each stage.
        kernel_sizes: Kernel size of each stage, in samples of its input.
        pools: Average pooling before each stage, in samples; 1: no pooling.
        expansion: Number of channels of a last convolution with BN and ReLU; None: no such convolution.
        recompute: Gradient checkpointing: in training, store only the values between blocks and recompute the others in
            the backward pass. Takes a third more time and a fraction of the memory; gradients are the same.
        spread: Pool the standard deviation over time as well as the mean (statistics pooling, Snyder et al. 2018),
            which doubles the size of the embedding.
        stem: ``unpadded``: convolution and max-pool of the stem stay inside the window (256 samples to 125 to 62), as
            in the paper's reference code. ``padded``: both are padded with zeros (256 to 128 to 64), as in checkpoints
            of format 2 and before.

    Attributes:
        dim: Size of the embedding.
        shortest: Number of samples of the shortest window that the encoder accepts.
    """

    def __init__(
        self,
        widths: Sequence[int],
        depths: Sequence[int],
        kernel_sizes: Sequence[int],
        pools: Sequence[int] | None = None,
        expansion: int | None = None,
        spread: bool = False,
        recompute: bool = False,
        stem: Stem = "unpadded",
    ) -> None:
        super().__init__()
        if stem not in ("unpadded", "padded"):
            raise ConfigError(f"encoder.stem={stem!r}: expected unpadded or padded.")
        padded = stem == "padded"
        self.stem = nn.Sequential(
            Convolution(3, widths[0], _KERNEL, stride=_STRIDE, padded=padded),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
            nn.MaxPool2d((1, _POOL), stride=(1, _STRIDE), padding=(0, int(padded))),
        )
        self.shortest = 1 if padded else _KERNEL + _STRIDE * (_POOL - 1)
        layers: list[nn.Module] = []
        width_in = widths[0]
        for width, depth, kernel_size, pool in zip(
            widths, depths, kernel_sizes, pools or [1] * len(widths), strict=True
        ):
            if pool > 1:
                layers.append(nn.AvgPool2d((1, pool), ceil_mode=True))
            for _ in range(depth):
                layers.append(PreActivationBlock(width_in, width, kernel_size))
                width_in = width
        if expansion is not None:
            last = Convolution(width_in, expansion, kernel_sizes[-1])
            layers += [nn.BatchNorm2d(width_in), nn.ReLU(), last, nn.BatchNorm2d(expansion), nn.ReLU()]
            width_in = expansion
        self.blocks = nn.Sequential(*layers)
        self.spread, self.recompute = spread, recompute
        self.dim = 2 * width_in if spread else width_in

    def forward(self, x: Tensor) -> Tensor:
        """Map windows ``(B, 3, T)`` in g to embeddings ``(B, dim)``."""
        features = self.features(x)
        mean = features.mean(-1)
        if not self.spread:
            return mean
        std = (features.var(-1, correction=0) + 1e-5).sqrt()  # the gradient of the root is infinite at 0
        return torch.cat([mean, std], dim=1)

    def features(self, x: Tensor) -> Tensor:
        """Features ``(B, C, L)`` of windows ``(B, 3, T)`` before pooling over time.

        Raises:
            ConfigError: The windows are too short.
        """
        check_length(x, self.shortest)
        features: Tensor = self.stem(x[:, :, None].contiguous(memory_format=torch.channels_last))
        if self.recompute and self.training and torch.is_grad_enabled():
            for block in self.blocks:
                features = checkpoint(block, features, use_reentrant=False, context_fn=partial(_once, block))
        else:
            features = self.blocks(features)
        return features.squeeze(2)


def _once(block: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Contexts of the forward pass and of its recomputation, in which running statistics are not updated again."""
    return nullcontext(), _running_statistics_at_rest(block)


@contextmanager
def _running_statistics_at_rest(block: nn.Module) -> Iterator[None]:
    norms = [module for module in block.modules() if isinstance(module, nn.BatchNorm2d)]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:  # still compute them: autograd must save as many tensors as before
        norm.momentum = 0.0
        norm.num_batches_tracked = None if norm.num_batches_tracked is None else norm.num_batches_tracked.clone()
    try:
        yield
    finally:
        for norm, (momentum, count) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count


def _doubled(width: int, stages: int) -> tuple[int, ...]:
    """Channels of each stage, twice those of the stage before.

    Raises:
        ConfigError: ``width`` is not a whole number above 0.
    """
    if not isinstance(width, int) or width < 1:
        raise ConfigError(f"encoder.width={width}: expected a whole number above 0.")
    return tuple(width * 2**stage for stage in range(stages))


def resnet34_1d(recompute: bool = False, stem: Stem = "unpadded", width: int = 64) -> ResNet1d:
    """The paper's encoder: 256-d embedding, 3.64 M parameters (the paper says 3.9 M).

    ``width`` is the number of channels of the first stage; the embedding has four times as many numbers.
    """
    return ResNet1d(widths=_doubled(width, 3), depths=(3, 4, 6), kernel_sizes=(3, 4, 4), recompute=recompute, stem=stem)


def resnet18_1d(recompute: bool = False, stem: Stem = "unpadded", width: int = 64) -> ResNet1d:
    """The encoder for Table 7 (Yuan et al. 2024): 18 convolutions, 1024-d embedding, 8.91 M parameters (they say 10 M).

    ``width`` is the number of channels of the first stage; the embedding has sixteen times as many numbers.
    """
    return ResNet1d(
        widths=_doubled(width, 4),
        depths=(2, 2, 2, 2),
        kernel_sizes=(5, 5, 5, 5),
        pools=(1, 2, 2, 2),
        expansion=16 * width,
        recompute=recompute,
        stem=stem,
    )


def small_resnet_1d(recompute: bool = False, stem: Stem = "unpadded", width: int = 32) -> ResNet1d:
    """A narrower and shallower :func:`resnet34_1d` for laptops: 256-d embedding, 0.14 M parameters.

    It pools the mean and the standard deviation of 128 channels, because the mean alone is too little with few layers.
    ``width`` is the number of channels of the first stage; the embedding has eight times as many numbers.
    """
    return ResNet1d(
        widths=_doubled(width, 3), depths=(1, 1, 1), kernel_sizes=(3, 4, 4), spread=True, recompute=recompute, stem=stem
    )
