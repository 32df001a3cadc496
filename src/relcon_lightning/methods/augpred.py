"""Augmentation prediction, multi-task (Saeed et al. 2019; Yuan et al. 2024)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from relcon_lightning.augment import (
    Augmentation,
    AxisShuffle,
    Rotation,
    SegmentPermutation,
    TimeFlip,
    TimeWarp,
    default_augmentations,
)
from relcon_lightning.batch import CandidateBatch
from relcon_lightning.methods.base import EmbeddingMethod, Stage


def yuan_tasks(warp_per_axis: bool = True) -> dict[str, Augmentation]:
    """Three tasks of Yuan et al. (2024): reversal, permutation of four segments of at least ten samples, time warp."""
    warp = TimeWarp(per_axis=warp_per_axis)
    return {"flip": TimeFlip(), "permute": SegmentPermutation(cuts=3, shortest=10), "warp": warp}


def saeed_tasks(warp_per_axis: bool = True) -> dict[str, Augmentation]:
    """All eight augmentations (Saeed et al. 2019)."""
    return {type(augmentation).__name__: augmentation for augmentation in default_augmentations(warp_per_axis)}


class AugPred(EmbeddingMethod):
    """Apply each task's transformation with probability one half; one linear head per task predicts its use.

    Args:
        encoder: Network to train, from windows ``(B, 3, T)`` to embeddings ``(B, dim)``.
        tasks: Mapping from task name to transformation; None: the three tasks of Yuan et al.
        weighted: Draw the windows of a step from anchors and candidates in proportion to their standard deviation, so
            that windows at rest do not dominate (Yuan et al. 2024).
        turned: Permute the axes (all six orders) and rotate the window first; this is not predicted (Yuan et al. 2024).
        **kwargs: Arguments of :class:`~relcon_lightning.methods.base.Method`.
    """

    def __init__(
        self,
        encoder: nn.Module,
        tasks: Mapping[str, Augmentation] | None = None,
        weighted: bool = True,
        turned: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, **kwargs)
        self.tasks = dict(tasks or yuan_tasks())
        self.heads = nn.Linear(self.dim, len(self.tasks))
        self.weighted, self.turned = weighted, turned
        if not weighted:
            self.stages_with_candidates = ()

    def loss(self, batch: CandidateBatch, generator: torch.Generator, stage: Stage) -> Tensor:
        """Binary cross-entropy, mean over windows and tasks. Logs the accuracy of each task."""
        x = self._windows(batch, generator)
        if self.turned:
            x = Rotation()(AxisShuffle(identity=True)(x, generator), generator)
        applied = torch.rand(len(x), len(self.tasks), generator=generator, device=x.device) < 0.5
        for column, transformation in zip(applied.T, self.tasks.values(), strict=True):
            x = torch.where(column[:, None, None], transformation(x, generator), x)
        logits = self.heads(self.encoder(x))
        correct = ((logits > 0) == applied).float().mean(0)
        self.log_values(stage, **{f"accuracy_{name}": value for name, value in zip(self.tasks, correct, strict=True)})
        return F.binary_cross_entropy_with_logits(logits.float(), applied.float())

    def _windows(self, batch: CandidateBatch, generator: torch.Generator) -> Tensor:
        """Windows ``(B, 3, T)`` drawn from anchors and candidates in proportion to their standard deviation."""
        if not self.weighted:
            return batch.anchor
        movement = batch.pool.std(-1).norm(dim=1) + 1e-6  # if all windows are at rest, draw them uniformly
        rows = torch.multinomial(movement, len(batch), replacement=True, generator=generator)
        return batch.pool[rows]
