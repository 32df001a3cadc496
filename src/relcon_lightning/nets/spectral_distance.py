"""A distance between windows that is not learned, from orientation, magnitude and spectrum."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from relcon_lightning.nets.feature_distance import FeatureDistance


class SpectralDistance(FeatureDistance):
    """Difference of two windows in mean, standard deviation and logarithmic spectrum of each axis.

    This distance is not in the paper. Use it instead of the motif distance to separate the effect of RelCon's loss from
    that of its distance, or where the motif distance ranks badly (see experiments/methods_wrist). It ignores phase, so
    the same movement a moment later is near. It is symmetric.

    Args:
        level: Weight of the mean (orientation) and the standard deviation (magnitude), per g.
        floor: Amplitude in g below which differences of the spectrum have little weight.
    """

    def __init__(self, level: float = 3.0, floor: float = 1 / 64) -> None:
        super().__init__()
        self.level, self.floor = level, floor

    def features(self, x: Float[Tensor, "*N 3 T"]) -> Float[Tensor, "*N F"]:
        """Features ``(..., F)`` of windows ``(..., 3, T)`` in g; their squared Euclidean distance is the distance."""
        std, mean = torch.std_mean(x.float(), dim=-1, correction=0, keepdim=True)
        amplitude = torch.fft.rfft(x.float() - mean).abs() * (2 / x.shape[-1])
        parts = [self.level * mean, self.level * std, (amplitude / self.floor).log1p()]
        return torch.cat(parts, dim=-1).flatten(-2)
