"""RelCon: an embedding that keeps the ranking of candidates by the frozen motif distance (paper section 3.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from relcon_lightning.augment import Augmentation, RandomAugmentations
from relcon_lightning.distributed import gather, rank
from relcon_lightning.errors import ConfigError
from relcon_lightning.losses import cosine_similarities, cross_similarities, relative_contrastive
from relcon_lightning.methods.base import Batch, EmbeddingMethod, Stage
from relcon_lightning.nets import MotifDistance, SpectralDistance

RankingLoss = Callable[[Tensor, Tensor, float, Tensor], Tensor]


class Ranked(NamedTuple):
    """Anchors and their candidates, all ``(B, C)``.

    Attributes:
        similarities: Cosines of the embeddings.
        distances: By the frozen motif distance.
        mask: True for candidates that count; an anchor is not its own.
        within: True for candidates of the anchor's own participant that count.
    """

    similarities: Tensor
    distances: Tensor
    mask: Tensor
    within: Tensor


class RelCon(EmbeddingMethod):
    """Relative contrastive learning with candidates of the same participant and of the batch.

    The distance is frozen: evaluation mode whatever the mode of this module, no gradient, not in the optimizer.

    Args:
        encoder: The net that learns, windows ``(B, 3, T)`` to ``(B, dim)``.
        distance: A trained motif distance, or another one that ranks.
        loss: Of similarities, distances, temperature and mask, all ``(B, C)``; see :mod:`relcon_lightning.losses`.
        temperature: tau.
        within_user: Candidates of the anchor's participant at other times. Off (Table 5): an augmented copy of the
            anchor stands in for them.
        batch_candidates: The other anchors of the batch are candidates too.
        gather: And those of the other ranks, which makes the loss that of one large batch. Batch normalisation still
            sees each rank's own (``trainer.sync_batchnorm`` changes that).
        pairs: How many of the others in the batch are candidates of an anchor, drawn at random; None: all of them. Time
            and memory for distances grow with it.
        augmentation: Makes that copy.
        view: If given, what is embedded are augmented windows while distances are those of the windows as recorded.
            Not in the paper; a cohort of a few people is otherwise learnt by heart.
        **kwargs: Of :class:`~relcon_lightning.methods.base.Method`.
    """

    def __init__(
        self,
        encoder: nn.Module,
        distance: MotifDistance | SpectralDistance,
        loss: RankingLoss = relative_contrastive,
        temperature: float = 1.0,
        within_user: bool = True,
        batch_candidates: bool = True,
        gather: bool = False,
        pairs: int | None = None,
        augmentation: Augmentation | None = None,
        view: Augmentation | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, **kwargs)
        self.distance = distance.requires_grad_(False).eval()
        self.ranking_loss, self.temperature = loss, temperature
        self.within_user, self.batch_candidates = within_user, batch_candidates
        self.gather, self.pairs = gather, pairs
        self.augmentation = augmentation or RandomAugmentations()
        self.view = view

    def train(self, mode: bool = True) -> RelCon:
        """As usual, but the distance stays in evaluation mode: dropout would change the ranking."""
        super().train(mode)
        self.distance.eval()
        return self

    def loss(self, batch: Batch, generator: torch.Generator, stage: Stage) -> Tensor:
        """The ranking loss over the candidates of each anchor."""
        ranked = self.rank(batch, generator)
        return self.ranking_loss(ranked.similarities, ranked.distances, self.temperature, ranked.mask)

    def rank(self, batch: Batch, generator: torch.Generator) -> Ranked:
        """Similarities and frozen distances of each anchor and its candidates.

        Raises:
            ConfigError: There are no candidates.
        """
        anchor, candidates = batch["anchor"], batch["candidates"]
        if not self.within_user:
            candidates = self.augmentation(anchor, generator)[:, None]
        n_anchors, n_candidates = candidates.shape[:2]
        z_anchor, z_candidates = self._embed(anchor, candidates, generator)
        blocks = []
        if n_candidates:
            everyone = torch.ones(n_anchors, n_candidates, dtype=torch.bool, device=anchor.device)
            distances = self._frozen(self.distance.pairwise, anchor, candidates)
            blocks.append((cosine_similarities(z_anchor, z_candidates), distances, everyone, everyone))
        if self.batch_candidates:
            blocks += self._batch_block(batch, z_anchor, generator)
        if not blocks:
            raise ConfigError("RelCon has no candidates: set data.n_candidates above 0 or model.batch_candidates=true.")
        return Ranked(*(torch.cat(parts, dim=1) for parts in zip(*blocks, strict=True)))

    def _batch_block(
        self, batch: Batch, z: Tensor, generator: torch.Generator
    ) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """Each anchor and the other anchors of the batch, or of all ranks, or some of them; none if it is alone."""
        anchor, person = batch["anchor"], batch["participant"]
        windows, z_windows, people, first = anchor, z, person, 0
        if self.gather:
            windows, z_windows, people = gather(anchor), gather(z), gather(person)
            first = rank() * len(anchor)
        if len(windows) == 1:
            return []
        own = torch.arange(first, first + len(anchor), device=anchor.device)
        others = own[:, None] != torch.arange(len(windows), device=anchor.device)
        same = (person[:, None] == people) & others
        similarities = cross_similarities(z, z_windows)
        if self.pairs is None or self.pairs >= len(windows) - 1:
            return [(similarities, self._frozen(self.distance.between, anchor, windows), others, same)]
        order = torch.rand(others.shape, generator=generator, device=anchor.device).masked_fill(~others, 2)
        some = order.argsort(1)[:, : self.pairs]
        distances = self._frozen(self.distance.to_some, anchor, windows, some)
        return [(similarities.gather(1, some), distances, others.gather(1, some), same.gather(1, some))]

    def _embed(self, anchor: Tensor, candidates: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """``(B, E)`` and ``(B, c, E)`` embeddings, in one pass of the encoder."""
        windows = torch.cat([anchor, candidates.flatten(0, 1)])
        z = self.encoder(windows if self.view is None else self.view(windows, generator))
        return z[: len(anchor)], z[len(anchor) :].unflatten(0, candidates.shape[:2])

    @staticmethod
    @torch.no_grad()
    def _frozen(distance: Callable[..., Tensor], *windows: Tensor) -> Tensor:
        return distance(*windows)
