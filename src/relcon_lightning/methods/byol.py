"""BYOL: predict the output of a slowly updated copy of the network (Grill et al. 2020)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from math import cos, pi
from typing import Any

import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.optim import Optimizer

from relcon_lightning.augment import Augmentation, RandomAugmentations
from relcon_lightning.batch import CandidateBatch
from relcon_lightning.methods.base import EmbeddingMethod, Stage, require_several
from relcon_lightning.methods.simsiam import agreement
from relcon_lightning.methods.sphere import diversity
from relcon_lightning.nets.heads import mlp


class BYOL(EmbeddingMethod):
    """Train the online network to predict, from one view, the target network's projection of the other view.

    The target network is an exponential moving average of the online encoder and projector. It gets no gradient, is
    part of the checkpoint, and is updated after each optimizer step. The result of training is the online encoder. As
    in the paper, only weights are averaged: the target's BatchNorm has its own statistics.

    Args:
        encoder: Network to train, from windows ``(B, 3, T)`` to embeddings ``(B, dim)``.
        projection: Hidden and output width of projector and predictor, with BatchNorm after the first layer.
        momentum: Momentum tau at the first step; it rises to 1 along a cosine.
        augmentation: Augmentation that creates a view; by default two random ones of the eight.
        **kwargs: Arguments of :class:`~relcon_lightning.methods.base.Method`.
    """

    stages_with_candidates = ()

    def __init__(
        self,
        encoder: nn.Module,
        projection: Sequence[int] = (512, 128),
        momentum: float = 0.996,
        augmentation: Augmentation | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, **kwargs)
        self.projector = mlp([self.dim, *projection], batch_norm=True)
        self.predictor = mlp([projection[-1], *projection], batch_norm=True)
        self.target = deepcopy(nn.Sequential(self.encoder, self.projector)).requires_grad_(False)
        self.momentum = momentum
        self.augmentation = augmentation or RandomAugmentations()

    def loss(self, batch: CandidateBatch, generator: torch.Generator, stage: Stage) -> Tensor:
        """``2 - 2 cos``, summed over both directions (Eq. 2), between 0 and 8. Candidates are not used."""
        if stage == "train":
            require_several(len(batch), "the batch normalisation of BYOL needs several windows per batch")
        views = [self.augmentation(batch.anchor, generator) for _ in range(2)]
        online = [self.projector(self.encoder(view)) for view in views]
        with torch.no_grad():
            first, second = (self.target(view) for view in views)
        self.log_values(stage, diversity=diversity(online[0]))
        return 4 - 2 * (agreement(self.predictor(online[0]), second) + agreement(self.predictor(online[1]), first))

    def optimizer_step(
        self,
        epoch: int,
        batch_idx: int,
        optimizer: Optimizer | LightningOptimizer,
        optimizer_closure: Callable[[], Any] | None = None,
    ) -> None:
        """Update the target network as well; with accumulated gradients once per step, not once per batch."""
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        self.follow(self.momentum_at(self.global_step / self.trainer.estimated_stepping_batches))

    def momentum_at(self, progress: float) -> float:
        """Momentum at ``progress`` (0 to 1) of the training: ``1 - (1 - tau_0) (cos(pi progress) + 1) / 2``."""
        return 1 - (1 - self.momentum) * (cos(pi * progress) + 1) / 2

    @torch.no_grad()
    def follow(self, momentum: float) -> None:
        """``target <- momentum * target + (1 - momentum) * online`` (Eq. 1)."""
        online = [*self.encoder.parameters(), *self.projector.parameters()]
        for slow, fast in zip(self.target.parameters(), online, strict=True):
            slow.lerp_(fast, 1 - momentum)
