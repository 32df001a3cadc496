"""A distance between windows that nothing has to be learnt for: orientation, magnitude and spectrum."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SpectralDistance(nn.Module):
    """How far apart two windows are in mean, standard deviation and logarithmic spectrum, axis by axis.

    Not in the paper. It ranks candidates in the place of the motif distance, to tell what RelCon owes to its loss and
    what to its distance, and where the motif distance ranks badly (experiments/methods_wrist). Phase has no part in it:
    the same movement a moment later is near. It is symmetric.

    Args:
        level: Weight of the mean (orientation) and the standard deviation (magnitude), per g.
        floor: Amplitude in g below which differences of the spectrum hardly count.
    """

    unit = ""  # of the distances: none

    def __init__(self, level: float = 3.0, floor: float = 1 / 64) -> None:
        super().__init__()
        self.level, self.floor = level, floor

    def features(self, x: Tensor) -> Tensor:
        """``(..., F)`` from windows ``(..., 3, T)`` in g; their Euclidean distance, squared, is the distance."""
        std, mean = torch.std_mean(x.float(), dim=-1, correction=0, keepdim=True)
        amplitude = torch.fft.rfft(x.float() - mean).abs() * (2 / x.shape[-1])
        parts = [self.level * mean, self.level * std, (amplitude / self.floor).log1p()]
        return torch.cat(parts, dim=-1).flatten(-2)

    def pairwise(self, anchors: Tensor, candidates: Tensor) -> Tensor:
        """``(B, C)`` distances of anchors ``(B, 3, T)`` to their own candidates ``(B, C, 3, T)``."""
        return (self.features(anchors)[:, None] - self.features(candidates)).square().sum(-1)

    def in_batch(self, anchors: Tensor) -> Tensor:
        """``(B, B)`` distances between the windows ``(B, 3, T)``."""
        return self.between(anchors, anchors)

    def between(self, anchors: Tensor, candidates: Tensor) -> Tensor:
        """``(A, N)`` distances of each anchor ``(A, 3, T)`` to each candidate ``(N, 3, T)``, shared by all anchors."""
        own = self.features(anchors)
        others = own if candidates is anchors else self.features(candidates)
        return torch.cdist(own, others, compute_mode="donot_use_mm_for_euclid_dist").square()

    def to_some(self, anchors: Tensor, candidates: Tensor, columns: Tensor) -> Tensor:
        """``(A, K)`` distances of each anchor to its own choice of the candidates, in ``columns`` ``(A, K)``."""
        return self.between(anchors, candidates).gather(1, columns)
