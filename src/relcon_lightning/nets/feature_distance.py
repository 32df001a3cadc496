"""Distances between windows that are squared Euclidean distances of features."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class FeatureDistance(nn.Module, ABC):
    """Squared Euclidean distance between features of two windows. It is symmetric. A subclass computes the features."""

    unit = ""  # the distances have no unit

    @abstractmethod
    def features(self, x: Float[Tensor, "*N 3 T"]) -> Float[Tensor, "*N F"]:
        """Features ``(..., F)`` of windows ``(..., 3, T)`` in g; their squared Euclidean distance is the distance."""

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
