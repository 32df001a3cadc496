"""Several encoders whose embeddings are concatenated."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from relcon_lightning.errors import ConfigError
from relcon_lightning.nets.base import as_encoder


class JointEncoder(nn.Module):
    """Encoders that are trained together; the embedding of a window consists of theirs, one after the other.

    Args:
        encoders: Networks from windows ``(B, 3, T)`` to embeddings ``(B, dim)``.

    Attributes:
        dim: Size of the embedding: the sum over the encoders.
        shortest: Number of samples of the shortest window that all encoders accept.

    Raises:
        ConfigError: There is no network, or one is not an encoder.
    """

    def __init__(self, encoders: Sequence[nn.Module]) -> None:
        super().__init__()
        if not encoders:
            raise ConfigError("encoder.encoders is empty: give one encoder or more.")
        self.dim = sum(as_encoder(encoder).dim for encoder in encoders)
        self.shortest = max(getattr(encoder, "shortest", 1) for encoder in encoders)
        self.encoders = nn.ModuleList(encoders)

    def forward(self, x: Tensor) -> Tensor:
        """Map windows ``(B, 3, T)`` in g to embeddings ``(B, dim)``."""
        return torch.cat([encoder(x) for encoder in self.encoders], dim=1)
