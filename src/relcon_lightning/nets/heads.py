"""Small heads on top of an encoder, trained with it and discarded afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import nn


def mlp(dims: Sequence[int], batch_norm: bool = False) -> nn.Sequential:
    """Linear layers ``dims[0] -> dims[1] -> ...`` with ReLU between them, and BatchNorm before it if asked.

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
