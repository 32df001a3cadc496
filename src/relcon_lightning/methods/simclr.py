"""SimCLR for accelerometer windows (Chen et al. 2020; Tang et al. 2020)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from relcon_lightning.augment import OneTransformation
from relcon_lightning.batch import CandidateBatch
from relcon_lightning.errors import positive
from relcon_lightning.losses import nt_xent_loss
from relcon_lightning.methods.base import EmbeddingMethod, Stage, require_several
from relcon_lightning.methods.distributed import gather
from relcon_lightning.nets.heads import mlp

Views = Callable[[Tensor, torch.Generator], tuple[Tensor, Tensor]]
"""Function from windows ``(B, 3, T)`` and a random generator to two views of each window."""


class SimCLR(EmbeddingMethod):
    """Two augmented views of each anchor are positives of each other; all other views of the batch are negatives.

    Args:
        encoder: Network to train, from windows ``(B, 3, T)`` to embeddings ``(B, dim)``.
        temperature: Temperature tau; 1 in the paper.
        projection: Widths of the three linear layers of the projection head, which is discarded after training.
        views: Function that creates the two views. By default :class:`~relcon_lightning.augment.OneTransformation`, the
            paper's recipe. :class:`~relcon_lightning.augment.TwoDraws` draws augmentations for each window.
        gather: Also use views on other ranks as negatives.
        **kwargs: Arguments of :class:`~relcon_lightning.methods.base.Method`.
    """

    stages_with_candidates = ()

    def __init__(
        self,
        encoder: nn.Module,
        temperature: float = 1.0,
        projection: Sequence[int] = (256, 128, 50),
        views: Views | None = None,
        gather: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, **kwargs)
        self.head = mlp([self.dim, *projection])
        self.temperature, self.gather = positive("temperature", temperature), gather
        self.views = views or OneTransformation()

    def loss(self, batch: CandidateBatch, generator: torch.Generator, stage: Stage) -> Tensor:
        """NT-Xent over the two views of the anchors. Candidates are not used."""
        views = self.views(batch.anchor, generator)
        pairs = torch.stack(self.head(self.encoder(torch.cat(views))).chunk(2), dim=1)
        first, second = (gather(pairs) if self.gather else pairs).unbind(1)
        require_several(len(first), "in SimCLR, the negatives of a window are the other windows of its batch")
        return nt_xent_loss(first, second, self.temperature)
