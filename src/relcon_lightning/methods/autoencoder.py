"""Convolutional autoencoder: reconstruct a window from its embedding."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from relcon_lightning.batch import CandidateBatch
from relcon_lightning.methods.base import EmbeddingMethod, Stage
from relcon_lightning.nets.heads import Decoder

_FIRST = 8  # time steps at the input of the decoder


class Autoencoder(EmbeddingMethod):
    """The embedding is the bottleneck. A linear layer expands it over time, and convolutions reconstruct the window.

    Args:
        encoder: Network to train, from windows ``(B, 3, T)`` to embeddings ``(B, dim)``.
        width: Number of channels of the decoder.
        stages: Number of stages of the decoder. Each doubles the signal: five go from 8 to 256 samples.
        **kwargs: Arguments of :class:`~relcon_lightning.methods.base.Method`.
    """

    stages_with_candidates = ()

    def __init__(self, encoder: nn.Module, width: int = 64, stages: int = 5, **kwargs: Any) -> None:
        super().__init__(encoder, **kwargs)
        self.unfold = nn.Linear(self.dim, width * _FIRST)
        self.decoder = Decoder(width, width, stages)

    def loss(self, batch: CandidateBatch, generator: torch.Generator, stage: Stage) -> Tensor:
        """Mean squared error of the reconstructed anchors, in g^2. Candidates are not used."""
        windows = batch.anchor
        return F.mse_loss(self.decode(self.encoder(windows), windows.shape[-1]).float(), windows)

    def decode(self, embedding: Tensor, time: int) -> Tensor:
        """Reconstruct windows ``(B, 3, time)`` in g from embeddings ``(B, dim)``."""
        window: Tensor = self.decoder(self.unfold(embedding).unflatten(1, (-1, _FIRST)), time)
        return window
