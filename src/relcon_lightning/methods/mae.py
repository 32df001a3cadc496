"""Masked autoencoder: reconstruct masked parts of a window (He et al. 2022), with a convolutional encoder."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from relcon_lightning.batch import CandidateBatch
from relcon_lightning.errors import ConfigError
from relcon_lightning.methods.base import EmbeddingMethod, Stage
from relcon_lightning.nets import ResNet1d
from relcon_lightning.nets.heads import Decoder


class MAE(EmbeddingMethod):
    """Replace patches of time by a learned sample; a decoder reconstructs them from the features before pooling.

    A convolution cannot skip patches as a transformer does. They are therefore overwritten, and the decoder is small,
    as in SimMIM (Xie et al. 2022). It reads the features over time, because the pooled embedding has no time axis.

    Args:
        encoder: Network to train, from windows ``(B, 3, T)`` to embeddings ``(B, dim)``.
        patch: Number of samples per patch; the last patch of a window may be shorter.
        share: Fraction of patches that are masked. At least one patch is masked, and at least one is not.
        width: Number of channels of the decoder.
        **kwargs: Arguments of :class:`~relcon_lightning.methods.base.Method`.

    Raises:
        ConfigError: ``share`` is not between 0 and 1, or the encoder has no features over time.
    """

    stages_with_candidates = ()

    def __init__(self, encoder: ResNet1d, patch: int = 32, share: float = 0.5, width: int = 32, **kwargs: Any) -> None:
        if not 0 < share < 1:
            raise ConfigError(f"share={share}: expected the fraction of patches to mask, a number between 0 and 1.")
        if not isinstance(encoder, ResNet1d):
            raise ConfigError(
                f"The masked autoencoder needs a ResNet1d, not a {type(encoder).__name__}: set encoder=small."
            )
        super().__init__(encoder, **kwargs)
        self.patch, self.share = patch, share
        self.token = nn.Parameter(torch.zeros(3))
        self.decoder = Decoder(encoder.dim // (2 if encoder.spread else 1), width)

    def loss(self, batch: CandidateBatch, generator: torch.Generator, stage: Stage) -> Tensor:
        """Mean squared error of the masked samples, in g^2. Candidates are not used."""
        windows = batch.anchor
        hidden = self.hide(len(windows), windows.shape[-1], generator)
        error = (self.rebuild(windows, hidden) - windows).square().mean(1)
        return error.where(hidden, 0).sum() / hidden.sum()

    def hide(self, n: int, time: int, generator: torch.Generator) -> Tensor:
        """Random mask ``(n, time)``, True for masked samples. Each window has the same number of masked patches.

        Raises:
            ConfigError: A window has only one patch.
        """
        patches = -(-time // self.patch)
        if patches < 2:
            raise ConfigError(f"A window of {time} samples has only one patch: set model.method.patch below {time}.")
        count = min(max(round(self.share * patches), 1), patches - 1)
        rank = torch.rand(n, patches, generator=generator, device=generator.device).argsort(1).argsort(1)
        return (rank < count).repeat_interleave(self.patch, dim=1)[:, :time]

    def rebuild(self, windows: Tensor, hidden: Tensor) -> Tensor:
        """Reconstruct windows ``(B, 3, T)`` in g, without the samples where ``hidden`` ``(B, T)`` is True."""
        encoder = self.encoder
        assert isinstance(encoder, ResNet1d)
        features = encoder.features(torch.where(hidden[:, None], self.token[:, None], windows))
        rebuilt: Tensor = self.decoder(features, windows.shape[-1])
        return rebuilt
