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
from relcon_lightning.methods.base import Batch, EmbeddingMethod, Stage


def yuan_tasks() -> dict[str, Augmentation]:
    """The three tasks of Yuan et al. (2024): reversal, permutation of four segments of ten samples or more, warp."""
    return {"flip": TimeFlip(), "permute": SegmentPermutation(cuts=3, shortest=10), "warp": TimeWarp()}


def saeed_tasks() -> dict[str, Augmentation]:
    """All eight augmentations (Saeed et al. 2019)."""
    return {type(augmentation).__name__: augmentation for augmentation in default_augmentations()}


class AugPred(EmbeddingMethod):
    """Each task's transformation is applied with probability one half; a linear head a task predicts whether it was.

    Args:
        encoder: The net that learns, windows ``(B, 3, T)`` to ``(B, dim)``.
        tasks: Name to transformation; those of Yuan et al. by default.
        weighted: Draw the windows of a step, out of anchors and candidates, in proportion to their standard
            deviation, so that still periods do not dominate (Yuan et al. 2024).
        turned: Permute the axes and rotate before, which is not predicted (Yuan et al. 2024).
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

    def loss(self, batch: Batch, generator: torch.Generator, stage: Stage) -> Tensor:
        """Mean over windows and tasks of the binary cross-entropy; logs each task's accuracy."""
        x = self._windows(batch, generator)
        if self.turned:
            x = Rotation()(AxisShuffle()(x, generator), generator)
        applied = torch.rand(len(x), len(self.tasks), generator=generator, device=x.device) < 0.5
        for column, transformation in zip(applied.T, self.tasks.values(), strict=True):
            x = torch.where(column[:, None, None], transformation(x, generator), x)
        logits = self.heads(self.encoder(x))
        correct = ((logits > 0) == applied).float().mean(0)
        self.log_values(stage, **{f"accuracy_{name}": value for name, value in zip(self.tasks, correct, strict=True)})
        return F.binary_cross_entropy_with_logits(logits.float(), applied.float())

    def _windows(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """``(B, 3, T)`` out of anchors and candidates, in proportion to their standard deviation."""
        if not self.weighted:
            return batch["anchor"]
        pool = torch.cat([batch["anchor"], batch["candidates"].flatten(0, 1)])
        movement = pool.std(-1).norm(dim=1) + 1e-6  # windows that are all still are drawn evenly
        rows = torch.multinomial(movement, len(batch["anchor"]), replacement=True, generator=generator)
        return pool[rows]
