"""Distance learning: reconstruct a window from an augmented copy of itself, or a masked part of it (section 3.1)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from relcon_lightning.augment import Augmentation, ContiguousMask, RandomAugmentations
from relcon_lightning.batch import CandidateBatch
from relcon_lightning.methods.base import Method, Stage
from relcon_lightning.nets import MotifDistance


class DistanceLearning(Method):
    """Train a motif distance with ``cand := augment(anc)`` to minimise the mean distance of the batch.

    With a :class:`~relcon_lightning.augment.ContiguousMask`, train the masked reconstruction of REBAR (Xu et al. 2024),
    which is the ablation "w/o augmentations" of Table 5. A part of the anchor is masked, the candidate is the whole
    window, and only the error of the masked part counts.

    Args:
        distance: Network to train.
        augmentation: Augmentation that creates the candidate of an anchor, by default two random ones of the eight; or
            the mask of the anchor.
        **kwargs: Arguments of :class:`~relcon_lightning.methods.base.Method`.
    """

    stages_with_candidates = ("val",)  # for the monitor of distances

    def __init__(self, distance: MotifDistance, augmentation: Augmentation | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.distance = distance
        self.augmentation = augmentation or RandomAugmentations()

    def loss(self, batch: CandidateBatch, generator: torch.Generator, stage: Stage) -> Tensor:
        """Reconstruction error (Eq. 1) in g^2, summed over time and axes, mean over the batch."""
        anchor = batch.anchor
        if isinstance(self.augmentation, ContiguousMask):
            masked, hidden = self.augmentation.hide(anchor, generator)
            error: Tensor = (self.distance(masked, anchor) - anchor).square().sum(1)
            return error.where(hidden, 0).sum(1).mean()
        return self.distance.distance(anchor, self.augmentation(anchor, generator)).mean()

    def ranking(self, windows: Tensor) -> Tensor:
        """Motif distances ``(N, N)`` between windows ``(N, 3, T)``; one row per anchor."""
        return self.distance.in_batch(windows)
