"""RelCon: an embedding that keeps the ranking of candidates by the frozen motif distance (paper section 3.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from relcon_lightning.augment import Augmentation, RandomAugmentations
from relcon_lightning.errors import ConfigError
from relcon_lightning.losses import cosine_similarities, cross_similarities, relative_contrastive
from relcon_lightning.methods.base import Batch, EmbeddingMethod, Stage
from relcon_lightning.nets import MotifDistance

RankingLoss = Callable[[Tensor, Tensor, float, Tensor], Tensor]


class RelCon(EmbeddingMethod):
    """Relative contrastive learning with candidates of the same participant and of the batch.

    The distance is frozen: evaluation mode whatever the mode of this module, no gradient, not in the optimizer.

    Args:
        encoder: The net that learns, windows ``(B, 3, T)`` to ``(B, dim)``.
        distance: A trained motif distance.
        loss: Of similarities, distances, temperature and mask, all ``(B, C)``; see :mod:`relcon_lightning.losses`.
        temperature: tau.
        within_user: Candidates of the anchor's participant at other times. Off (Table 5): an augmented copy of the
            anchor stands in for them.
        batch_candidates: The other anchors of the batch are candidates too.
        augmentation: Makes that copy.
        **kwargs: Of :class:`~relcon_lightning.methods.base.Method`.
    """

    def __init__(
        self,
        encoder: nn.Module,
        distance: MotifDistance,
        loss: RankingLoss = relative_contrastive,
        temperature: float = 1.0,
        within_user: bool = True,
        batch_candidates: bool = True,
        augmentation: Augmentation | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, **kwargs)
        self.distance = distance.requires_grad_(False).eval()
        self.ranking_loss, self.temperature = loss, temperature
        self.within_user, self.batch_candidates = within_user, batch_candidates
        self.augmentation = augmentation or RandomAugmentations()

    def train(self, mode: bool = True) -> RelCon:
        """As usual, but the distance stays in evaluation mode: dropout would change the ranking."""
        super().train(mode)
        self.distance.eval()
        return self

    def loss(self, batch: Batch, generator: torch.Generator, stage: Stage) -> Tensor:
        """The ranking loss over the candidates of each anchor."""
        anchor, candidates = batch["anchor"], batch["candidates"]
        if not self.within_user:
            candidates = self.augmentation(anchor, generator)[:, None]
        n_anchors, n_candidates = candidates.shape[:2]
        if not n_candidates + self.batch_candidates * (n_anchors - 1):
            raise ConfigError("RelCon has no candidates: set data.n_candidates above 0 or model.batch_candidates=true.")
        z = self.encoder(torch.cat([anchor, candidates.flatten(0, 1)]))
        z_anchor, z_candidates = z[:n_anchors], z[n_anchors:].view(n_anchors, n_candidates, -1)
        similarities = [cosine_similarities(z_anchor, z_candidates)]
        distances = [self._frozen(self.distance.pairwise, anchor, candidates)] if n_candidates else [similarities[0]]
        mask = torch.ones(n_anchors, n_candidates, dtype=torch.bool, device=z.device)
        if self.batch_candidates:
            similarities.append(cross_similarities(z_anchor, z_anchor))
            distances.append(self._frozen(self.distance.in_batch, anchor))
            mask = torch.cat([mask, ~torch.eye(n_anchors, dtype=torch.bool, device=z.device)], 1)
        return self.ranking_loss(torch.cat(similarities, 1), torch.cat(distances, 1), self.temperature, mask)

    @staticmethod
    @torch.no_grad()
    def _frozen(distance: Callable[..., Tensor], *windows: Tensor) -> Tensor:
        return distance(*windows)
