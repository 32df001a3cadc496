"""Masked autoencoder: rebuild hidden stretches of a window (He et al. 2022), for a convolutional encoder."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from relcon_lightning.errors import ConfigError
from relcon_lightning.methods.base import Batch, EmbeddingMethod, Stage
from relcon_lightning.nets import ResNet1d
from relcon_lightning.nets.heads import Decoder


class MAE(EmbeddingMethod):
    """Patches of time are replaced by a learned sample; a decoder rebuilds them from the features before pooling.

    A convolution cannot leave patches out as a transformer does, so they are overwritten, and the decoder is small, as
    in SimMIM (Xie et al. 2022). It reads the features over time: the pooled embedding does not say when things happen.

    Args:
        encoder: The net that learns, windows ``(B, 3, T)`` to ``(B, dim)``.
        patch: Samples of a patch; the last one of a window may be shorter.
        share: Fraction of patches that are masked. At least one patch is masked, and at least one is not.
        width: Channels of the decoder.
        **kwargs: Arguments of :class:`~relcon_lightning.methods.base.Method`.

    Raises:
        ConfigError: ``share`` is no share, or the encoder has no features over time.
    """

    def __init__(self, encoder: ResNet1d, patch: int = 32, share: float = 0.5, width: int = 32, **kwargs: Any) -> None:
        if not 0 < share < 1:
            raise ConfigError(f"share={share} of a window's patches to hide: expected a number between 0 and 1.")
        if not isinstance(encoder, ResNet1d):
            raise ConfigError(
                f"The masked autoencoder decodes a ResNet1d, not a {type(encoder).__name__}: encoder=small."
            )
        super().__init__(encoder, **kwargs)
        self.patch, self.share = patch, share
        self.token = nn.Parameter(torch.zeros(3))
        self.decoder = Decoder(encoder.dim // (2 if encoder.spread else 1), width)

    def loss(self, batch: Batch, generator: torch.Generator, stage: Stage) -> Tensor:
        """Mean squared error over the hidden samples, in g^2; candidates are not used."""
        windows = batch["anchor"]
        hidden = self.hide(len(windows), windows.shape[-1], generator)
        error = (self.rebuild(windows, hidden) - windows).square().mean(1)
        return error.where(hidden, 0).sum() / hidden.sum()

    def hide(self, n: int, time: int, generator: torch.Generator) -> Tensor:
        """``(n, time)``, True for the samples that are hidden: as many random patches in each window.

        Raises:
            ConfigError: A window is a single patch.
        """
        patches = -(-time // self.patch)
        if patches < 2:
            raise ConfigError(f"A window of {time} samples is a single patch: set model.method.patch below {time}.")
        count = min(max(round(self.share * patches), 1), patches - 1)
        rank = torch.rand(n, patches, generator=generator, device=generator.device).argsort(1).argsort(1)
        return (rank < count).repeat_interleave(self.patch, dim=1)[:, :time]

    def rebuild(self, windows: Tensor, hidden: Tensor) -> Tensor:
        """``(B, 3, T)`` in g from windows ``(B, 3, T)`` of which ``hidden`` ``(B, T)`` is not seen."""
        encoder = self.encoder
        assert isinstance(encoder, ResNet1d)
        features = encoder.features(torch.where(hidden[:, None], self.token[:, None], windows))
        rebuilt: Tensor = self.decoder(features, windows.shape[-1])
        return rebuilt
