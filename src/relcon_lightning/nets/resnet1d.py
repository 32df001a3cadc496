"""1D residual encoders with average pooling over time, so that any window length works (METHODS section 7)."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


class PreActivationBlock(nn.Module):
    """BN, ReLU, conv, BN, ReLU, conv, plus the input (He et al. 2016b); a 1x1 shortcut where the width changes."""

    def __init__(self, width_in: int, width: int, kernel_size: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm1d(width_in)
        self.conv1 = nn.Conv1d(width_in, width, kernel_size, padding="same")
        self.norm2 = nn.BatchNorm1d(width)
        self.conv2 = nn.Conv1d(width, width, kernel_size, padding="same")
        self.shortcut = nn.Identity() if width_in == width else nn.Conv1d(width_in, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, width_in, L)`` to ``(B, width, L)``."""
        y = self.conv1(F.relu(self.norm1(x)))
        y = self.conv2(F.relu(self.norm2(y)))
        out: Tensor = y + self.shortcut(x)
        return out


class ResNet1d(nn.Module):
    """Stem (convolution kernel 7 stride 2, BN, ReLU, max-pool 3 stride 2), stages of blocks, mean over time.

    Args:
        widths: Channels of each stage; the last one is the embedding's dimension :attr:`dim`.
        depths: Blocks of each stage.
        kernel_sizes: Of each stage, in samples of the pooled signal (a quarter of the input's rate).
    """

    def __init__(self, widths: Sequence[int], depths: Sequence[int], kernel_sizes: Sequence[int]) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv1d(3, widths[0], 7, stride=2, padding=3),
            nn.BatchNorm1d(widths[0]),
            nn.ReLU(),
            nn.MaxPool1d(3, stride=2, padding=1),
        )
        blocks = []
        width_in = widths[0]
        for width, depth, kernel_size in zip(widths, depths, kernel_sizes, strict=True):
            for _ in range(depth):
                blocks.append(PreActivationBlock(width_in, width, kernel_size))
                width_in = width
        self.blocks = nn.Sequential(*blocks)
        self.dim = width_in

    def forward(self, x: Tensor) -> Tensor:
        """Windows ``(B, 3, T)`` in g to embeddings ``(B, dim)``."""
        embedding: Tensor = self.blocks(self.stem(x)).mean(-1)
        return embedding


def resnet34_1d() -> ResNet1d:
    """The paper's encoder: 256-d embedding."""
    return ResNet1d(widths=(64, 128, 256), depths=(3, 4, 6), kernel_sizes=(3, 4, 4))


def small_resnet_1d() -> ResNet1d:
    """The same layout, thinner and shallower, for laptops: 256-d embedding."""
    return ResNet1d(widths=(32, 64, 256), depths=(1, 1, 1), kernel_sizes=(3, 4, 4))


