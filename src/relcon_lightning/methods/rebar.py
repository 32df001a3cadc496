"""REBAR for accelerometer windows: the nearest window of the same person is the positive (Xu et al. 2024)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from relcon_lightning.batch import CandidateBatch
from relcon_lightning.errors import ConfigError
from relcon_lightning.methods.base import Stage
from relcon_lightning.methods.candidates import CandidateMethod, RankedCandidates
from relcon_lightning.nets.base import WindowDistance


class Rebar(CandidateMethod):
    """RelCon's candidates and frozen distance, with one positive: the nearest candidate of the anchor's participant.

    Args:
        encoder: Network to train.
        distance: Trained motif distance, or another distance that ranks candidates.
        temporal_weight: None: all other candidates are negatives. A number alpha: the weighted sum of the original
            method, alpha times the loss with the other within-user candidates as negatives, plus 1 - alpha times the
            loss with windows of other people as negatives.
        **kwargs: Arguments of :class:`~relcon_lightning.methods.candidates.CandidateMethod`.
    """

    def __init__(
        self,
        encoder: nn.Module,
        distance: WindowDistance,
        temporal_weight: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, distance, **kwargs)
        self.temporal_weight = temporal_weight

    def loss(self, batch: CandidateBatch, generator: torch.Generator, stage: Stage) -> Tensor:
        """NT-Xent of the positive, mean over the anchors that have a candidate of their own participant.

        Raises:
            ConfigError: No anchor has such a candidate.
        """
        ranked = self.rank(batch, generator)
        known = ranked.within.any(1)
        if not known.any():
            raise ConfigError("REBAR needs candidates of the anchor's participant: set data.n_candidates above 0.")
        ranked = RankedCandidates(*(part[known] for part in ranked))
        positive = ranked.distances.masked_fill(~ranked.within, torch.inf).argmin(1)
        if self.temporal_weight is None:
            return self._nt_xent(ranked.similarities, positive, ranked.mask)
        temporal = self._nt_xent(ranked.similarities, positive, ranked.within)
        instance = self._nt_xent(ranked.similarities, positive, ranked.mask & ~ranked.within)
        return self.temporal_weight * temporal + (1 - self.temporal_weight) * instance

    def _nt_xent(self, similarities: Tensor, positive: Tensor, negatives: Tensor) -> Tensor:
        """Loss of the positive ``(B,)`` with the candidates in ``negatives`` ``(B, C)`` as its negatives."""
        counted = negatives.scatter(1, positive[:, None], True)
        logits = (similarities / self.temperature).masked_fill(~counted, -torch.inf)
        return F.cross_entropy(logits, positive)
