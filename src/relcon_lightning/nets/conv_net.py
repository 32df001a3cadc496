"""A plain convolutional network, the "conv classifier" in Table 4 of the paper."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn


class ConvNet(nn.Module):
    """Blocks of convolution, ReLU, pooling by 2 and dropout, then the mean over time.

    The paper does not specify a layout. This one follows the convolutional encoder of Haresamudram et al. (2022):
    widths 32, 64, 128 and kernel size 3. Pooling compensates for the sampling rate, which is five times as high here.

    Args:
        widths: Number of channels of each block.
        kernel_size: Kernel size in samples.
        dropout: Dropout rate after each block.

    Attributes:
        dim: Size of the feature.
    """

    def __init__(self, widths: Sequence[int] = (32, 64, 128), kernel_size: int = 3, dropout: float = 0.2) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv1d(before, after, kernel_size, padding="same"),
                    nn.ReLU(),
                    nn.MaxPool1d(2, ceil_mode=True),
                    nn.Dropout(dropout),
                )
                for before, after in pairwise([3, *widths])
            )
        )
        self.dim = widths[-1]

    def forward(self, x: Tensor) -> Tensor:
        """Map windows ``(B, 3, T)`` in g to features ``(B, dim)``."""
        features: Tensor = self.blocks(x).mean(-1)
        return features
