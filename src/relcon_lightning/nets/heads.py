"""Heads of an encoder that are discarded after training: projections, predictors and decoders."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn


def mlp(dims: Sequence[int], batch_norm: bool = False) -> nn.Sequential:
    """Linear layers ``dims[0] -> dims[1] -> ...`` with ReLU between them and, optionally, BatchNorm before each ReLU.

    Args:
        dims: Widths from input to output.
        batch_norm: Normalise each hidden layer.
    """
    layers: list[nn.Module] = []
    for i, (width_in, width) in enumerate(pairwise(dims)):
        if i:
            layers += [nn.BatchNorm1d(width_in), nn.ReLU()] if batch_norm else [nn.ReLU()]
        layers.append(nn.Linear(width_in, width))
    return nn.Sequential(*layers)


class Decoder(nn.Module):
    """Decode features over time to a window of any length, with resize-convolutions (Odena et al. 2016).

    A 1x1 convolution to ``width`` channels is followed by ``stages`` of nearest-neighbour resizing, convolution and
    ReLU. Each stage lengthens the signal by the same factor. A last convolution gives the three axes.

    Args:
        channels: Number of channels of the features.
        width: Number of channels of the decoder.
        stages: Number of stages from the length of the features to that of the window.
        kernel_size: Kernel size of the convolutions, in samples of the stage.
    """

    def __init__(self, channels: int, width: int = 32, stages: int = 2, kernel_size: int = 7) -> None:
        super().__init__()
        self.squeeze = nn.Conv1d(channels, width, 1)
        self.stages = nn.ModuleList(nn.Conv1d(width, width, kernel_size, padding="same") for _ in range(stages))
        self.output = nn.Conv1d(width, 3, kernel_size, padding="same")

    def forward(self, features: Tensor, time: int) -> Tensor:
        """Map features ``(B, channels, L)`` to windows ``(B, 3, time)`` in g."""
        x = self.squeeze(features)
        first = x.shape[-1]
        for i, convolution in enumerate(self.stages, 1):
            length = round(first * (time / first) ** (i / len(self.stages)))
            x = F.relu(convolution(F.interpolate(x, length, mode="nearest-exact")))
        window: Tensor = self.output(x)
        return window
