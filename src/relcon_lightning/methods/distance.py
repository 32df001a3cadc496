"""Distance learning: rebuild a window from an augmented copy of itself (paper section 3.1)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from relcon_lightning.augment import Augmentation, RandomAugmentations
from relcon_lightning.methods.base import Batch, Method, Stage
from relcon_lightning.nets import MotifDistance


class DistanceLearning(Method):
    """Trains a :class:`MotifDistance` with ``cand := augment(anc)`` to minimise the mean distance of the batch.

    Args:
        distance: The net that learns.
        augmentation: Augmentation that creates the candidate of an anchor; by default two random ones of the eight.
        **kwargs: Arguments of :class:`~relcon_lightning.methods.base.Method`.
    """

    def __init__(self, distance: MotifDistance, augmentation: Augmentation | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.distance = distance
        self.augmentation = augmentation or RandomAugmentations()

    def loss(self, batch: Batch, generator: torch.Generator, stage: Stage) -> Tensor:
        """Mean over the batch of the reconstruction error (Eq. 1), in g^2."""
        anchor = batch["anchor"]
        return self.distance.distance(anchor, self.augmentation(anchor, generator)).mean()

    def ranking(self, windows: Tensor) -> Tensor:
        """``(N, N)`` motif distances between windows ``(N, 3, T)``."""
        return self.distance.in_batch(windows)
