"""Dilated convolutional network that computes queries, keys or values of a window (Xu et al. 2024)."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """Bottleneck, dilated convolution, sum with the input, GELU, InstanceNorm without learned parameters."""

    def __init__(self, channels: int, bottleneck: int, kernel_size: int, dilation: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv1d(channels, bottleneck, 1)
        self.dilated = nn.Conv1d(bottleneck, channels, kernel_size, padding="same", dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, channels, T)`` to the same shape."""
        return F.instance_norm(F.gelu(x + self.dilated(self.squeeze(x))))


class PartialConvolution(nn.Conv1d):
    """A convolution that keeps the length and ignores positions beyond the edges (Liu et al. 2018).

    Where the kernel extends beyond an edge, the sum without the bias is multiplied by ``kernel_size / taps inside``.
    """

    def __init__(self, channels_in: int, channels: int, kernel_size: int) -> None:
        super().__init__(channels_in, channels, kernel_size, padding="same")

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, channels_in, T)`` to ``(B, channels, T)``."""
        size = self.kernel_size[0]
        inside = F.conv1d(x.new_ones(1, 1, x.shape[-1]), x.new_ones(1, 1, size), padding="same")
        whole = F.conv1d(x, self.weight, padding="same")
        if self.bias is None:
            return whole * (size / inside)
        return torch.addcmul(self.bias[:, None], whole, size / inside)


class DilatedConvNet(nn.Module):
    """Residual blocks from ``(B, axes, T)`` to ``(B, channels, T)``. The dilation doubles with each block.

    Args:
        axes: Number of input channels (3 for an accelerometer).
        channels: Number of channels between the blocks.
        bottleneck: Number of channels inside a block.
        kernel_size: Kernel size in samples; odd.
        blocks: Number of residual blocks with dilations 1, 2, 4, ...; ``receptive_field`` is the number of samples
            that they see.
        stem: First layer. ``partial``: partial convolution, GELU and InstanceNorm, as in the paper's reference code.
            ``padded``: a convolution of the signal padded with zeros, and nothing after it.
    """

    def __init__(
        self,
        axes: int = 3,
        channels: int = 64,
        bottleneck: int = 8,
        kernel_size: int = 15,
        blocks: int = 2,
        stem: Literal["partial", "padded"] = "partial",
    ) -> None:
        super().__init__()
        self.partial = stem == "partial"
        self.stem = (
            PartialConvolution(axes, channels, kernel_size)
            if self.partial
            else nn.Conv1d(axes, channels, kernel_size, padding="same")
        )
        self.blocks = nn.Sequential(*(ResidualBlock(channels, bottleneck, kernel_size, 2**i) for i in range(blocks)))
        self.receptive_field = 1 + (kernel_size - 1) * 2**blocks

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, axes, T)`` to ``(B, channels, T)``.

        The first layer keeps the precision of ``x`` even with autocast, because rounding the signal to bfloat16 changes
        the ranking.
        """
        with torch.autocast(x.device.type, enabled=False):
            stem = self.stem(x)
            if self.partial:
                stem = F.instance_norm(F.gelu(stem))
        features: Tensor = self.blocks(stem)
        return features
