"""A distance between windows that an earlier pre-training run learned: the cosine distance of its embeddings."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from relcon_lightning.nets.base import as_encoder


class EmbeddingDistance(nn.Module):
    """Cosine distance, 0 to 2, between the embeddings of two windows.

    This distance is not in the paper. With it, a second round of RelCon learns from the ranking of a first round, and
    the distance is learned, as the motif distance is. It is symmetric.

    Args:
        encoder: Trained network from windows ``(B, 3, T)`` in g to embeddings ``(B, dim)``.

    Raises:
        ConfigError: The network is not an encoder.
    """

    unit = ""  # the distances have no unit

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        as_encoder(encoder)
        self.encoder = encoder

    @property
    def precision(self) -> torch.dtype:
        """Type of the encoder's weights."""
        return next((weight.dtype for weight in self.encoder.parameters()), torch.float32)

    def features(self, x: Float[Tensor, "*N 3 T"]) -> Float[Tensor, "*N F"]:
        """Embeddings ``(..., F)`` of windows ``(..., 3, T)`` in g, of length 1.

        They keep the precision of the encoder even with autocast, because rounding to bfloat16 changes the ranking.
        """
        with torch.autocast(x.device.type, enabled=False):
            z: Tensor = F.normalize(self.encoder(x.to(self.precision).flatten(0, -3)), dim=-1)
            return z.reshape(*x.shape[:-2], -1)

    def pairwise(self, anchors: Float[Tensor, "B 3 T"], candidates: Float[Tensor, "B C 3 T"]) -> Float[Tensor, "B C"]:
        """Distances ``(B, C)`` of anchors ``(B, 3, T)`` to their own candidates ``(B, C, 3, T)``."""
        return (self.features(anchors)[:, None] - self.features(candidates)).square().sum(-1) / 2

    def in_batch(self, anchors: Float[Tensor, "B 3 T"]) -> Float[Tensor, "B B"]:
        """Distances ``(B, B)`` between windows ``(B, 3, T)``."""
        return self.between(anchors, anchors)

    def between(self, anchors: Float[Tensor, "A 3 T"], candidates: Float[Tensor, "N 3 T"]) -> Float[Tensor, "A N"]:
        """Distances ``(A, N)`` of each anchor ``(A, 3, T)`` to each candidate ``(N, 3, T)``, shared by all anchors."""
        own = self.features(anchors)
        others = own if candidates is anchors else self.features(candidates)
        return torch.cdist(own, others, compute_mode="donot_use_mm_for_euclid_dist").square() / 2

    def to_some(
        self, anchors: Float[Tensor, "A 3 T"], candidates: Float[Tensor, "N 3 T"], columns: Int[Tensor, "A K"]
    ) -> Float[Tensor, "A K"]:
        """Distances ``(A, K)`` of each anchor to the candidates that its row of ``columns`` ``(A, K)`` selects."""
        return self.between(anchors, candidates).gather(1, columns)
