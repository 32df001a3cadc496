"""A distance between windows that an earlier pre-training run learned: the cosine distance of its embeddings."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from relcon_lightning.nets.base import as_encoder
from relcon_lightning.nets.feature_distance import FeatureDistance


class EmbeddingDistance(FeatureDistance):
    """Cosine distance, 0 to 2, between the embeddings of two windows.

    This distance is not in the paper. With it, a second round of RelCon learns from the ranking of a first round, and
    the distance is learned, as the motif distance is. It is symmetric.

    Args:
        encoder: Trained network from windows ``(B, 3, T)`` in g to embeddings ``(B, dim)``.

    Raises:
        ConfigError: The network is not an encoder.
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        as_encoder(encoder)
        self.encoder = encoder

    @property
    def precision(self) -> torch.dtype:
        """Type of the encoder's weights."""
        return next((weight.dtype for weight in self.encoder.parameters()), torch.float32)

    def features(self, x: Float[Tensor, "*N 3 T"]) -> Float[Tensor, "*N F"]:
        """Embeddings ``(..., F)`` of windows ``(..., 3, T)`` in g, of length 1/√2.

        They keep the precision of the encoder even with autocast, because rounding to bfloat16 changes the ranking.
        """
        with torch.autocast(x.device.type, enabled=False):
            z: Tensor = 0.5**0.5 * F.normalize(self.encoder(x.to(self.precision).flatten(0, -3)), dim=-1)
            return z.reshape(*x.shape[:-2], -1)
