"""SimSiam: two views predict each other, without negatives and without a second network (Chen & He 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from relcon_lightning.augment import Augmentation, RandomAugmentations
from relcon_lightning.batch import CandidateBatch
from relcon_lightning.losses import cosine_similarities
from relcon_lightning.methods.base import EmbeddingMethod, Stage, require_several
from relcon_lightning.methods.sphere import diversity
from relcon_lightning.nets.heads import mlp


def agreement(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean cosine of predictions ``(B, E)`` and targets ``(B, E)``, without a gradient to the targets."""
    return cosine_similarities(prediction, target.detach()[:, None]).mean()


class SimSiam(EmbeddingMethod):
    """Predict, from one view, the projection of the other view, which gets no gradient (stop-gradient).

    Without the stop-gradient or the predictor, all embeddings collapse to one point; ``train/diversity`` shows this.

    Args:
        encoder: Network to train, from windows ``(B, 3, T)`` to embeddings ``(B, dim)``.
        projection: Widths of the three linear layers. BatchNorm follows each; the last has no affine parameters.
        bottleneck: Hidden size of the predictor; a quarter of the projection in the paper.
        augmentation: Augmentation that creates a view; by default two random ones of the eight.
        **kwargs: Arguments of :class:`~relcon_lightning.methods.base.Method`.
    """

    stages_with_candidates = ()

    def __init__(
        self,
        encoder: nn.Module,
        projection: Sequence[int] = (512, 512, 512),
        bottleneck: int = 128,
        augmentation: Augmentation | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, **kwargs)
        width = projection[-1]
        layers = mlp([self.dim, *projection], batch_norm=True)
        self.projector = nn.Sequential(*layers, nn.BatchNorm1d(width, affine=False))
        self.predictor = mlp([width, bottleneck, width], batch_norm=True)
        self.augmentation = augmentation or RandomAugmentations()

    def loss(self, batch: CandidateBatch, generator: torch.Generator, stage: Stage) -> Tensor:
        """Negative cosine, mean over both directions (Eq. 4), between -1 and 1. Candidates are not used."""
        if stage == "train":
            require_several(len(batch), "the batch normalisation of SimSiam needs several windows per batch")
        first, second = (self.projector(self.encoder(self.augmentation(batch.anchor, generator))) for _ in range(2))
        self.log_values(stage, diversity=diversity(first))
        return -(agreement(self.predictor(first), second) + agreement(self.predictor(second), first)) / 2
