"""RelCon: an embedding that keeps the ranking of candidates by the frozen motif distance (paper section 3.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from relcon_lightning.batch import CandidateBatch
from relcon_lightning.losses import relative_contrastive
from relcon_lightning.methods.base import Stage
from relcon_lightning.methods.candidates import CandidateMethod
from relcon_lightning.nets.base import WindowDistance

RankingLoss = Callable[[Tensor, Tensor, float, Tensor], Tensor]


class RelCon(CandidateMethod):
    """Relative contrastive learning with candidates of the same participant and of the batch.

    Args:
        encoder: Network to train, from windows ``(B, 3, T)`` to embeddings ``(B, dim)``.
        distance: Trained motif distance, or another distance that ranks candidates.
        loss: Function of similarities, distances, temperature and mask ``(B, C)``; see :mod:`relcon_lightning.losses`.
        **kwargs: Arguments of :class:`~relcon_lightning.methods.candidates.CandidateMethod`.
    """

    def __init__(
        self, encoder: nn.Module, distance: WindowDistance, loss: RankingLoss = relative_contrastive, **kwargs: Any
    ) -> None:
        super().__init__(encoder, distance, **kwargs)
        self.summed = getattr(loss, "func", loss) is relative_contrastive
        self.ranking_loss = loss

    def loss(self, batch: CandidateBatch, generator: torch.Generator, stage: Stage) -> Tensor:
        """Ranking loss over the candidates of each anchor."""
        ranked = self.rank(batch, generator)
        loss = self.ranking_loss(ranked.similarities, ranked.distances, self.temperature, ranked.mask)
        if self.summed:  # the loss grows with the number of candidates, which may be larger in training
            self.log_values(stage, loss_per_candidate=loss.detach() / ranked.mask.sum(1).float().mean())
        return loss
