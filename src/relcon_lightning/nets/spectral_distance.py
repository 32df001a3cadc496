"""A distance between windows that is not learned, from orientation, magnitude and spectrum."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class SpectralDistance(nn.Module):
    """Difference of two windows in mean, standard deviation and logarithmic spectrum of each axis.

    This distance is not in the paper. Use it instead of the motif distance to separate the effect of RelCon's loss from
    that of its distance, or where the motif distance ranks badly (see experiments/methods_wrist). It ignores phase, so
    the same movement a moment later is near. It is symmetric.

    Args:
        level: Weight of the mean (orientation) and the standard deviation (magnitude), per g.
        floor: Amplitude in g below which differences of the spectrum have little weight.
    """

    unit = ""  # the distances have no unit

    def __init__(self, level: float = 3.0, floor: float = 1 / 64) -> None:
        super().__init__()
        self.level, self.floor = level, floor

    def features(self, x: Float[Tensor, "*N 3 T"]) -> Float[Tensor, "*N F"]:
        """Features ``(..., F)`` of windows ``(..., 3, T)`` in g; their squared Euclidean distance is the distance."""
        std, mean = torch.std_mean(x.float(), dim=-1, correction=0, keepdim=True)
        amplitude = torch.fft.rfft(x.float() - mean).abs() * (2 / x.shape[-1])
        parts = [self.level * mean, self.level * std, (amplitude / self.floor).log1p()]
        return torch.cat(parts, dim=-1).flatten(-2)

    def pairwise(self, anchors: Float[Tensor, "B 3 T"], candidates: Float[Tensor, "B C 3 T"]) -> Float[Tensor, "B C"]:
        """Distances ``(B, C)`` of anchors ``(B, 3, T)`` to their own candidates ``(B, C, 3, T)``."""
        return (self.features(anchors)[:, None] - self.features(candidates)).square().sum(-1)

    def in_batch(self, anchors: Float[Tensor, "B 3 T"]) -> Float[Tensor, "B B"]:
        """Distances ``(B, B)`` between windows ``(B, 3, T)``."""
        return self.between(anchors, anchors)

    def between(self, anchors: Float[Tensor, "A 3 T"], candidates: Float[Tensor, "N 3 T"]) -> Float[Tensor, "A N"]:
        """Distances ``(A, N)`` of each anchor ``(A, 3, T)`` to each candidate ``(N, 3, T)``, shared by all anchors."""
        own = self.features(anchors)
        others = own if candidates is anchors else self.features(candidates)
        return torch.cdist(own, others, compute_mode="donot_use_mm_for_euclid_dist").square()

    def to_some(
        self, anchors: Float[Tensor, "A 3 T"], candidates: Float[Tensor, "N 3 T"], columns: Int[Tensor, "A K"]
    ) -> Float[Tensor, "A K"]:
        """Distances ``(A, K)`` of each anchor to the candidates that its row of ``columns`` ``(A, K)`` selects."""
        return self.between(anchors, candidates).gather(1, columns)
