"""Contrastive predictive coding: tell the coming patches of a window from others (van den Oord et al. 2018)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from relcon_lightning.errors import ConfigError
from relcon_lightning.methods.base import Batch, EmbeddingMethod, Stage


class CPC(EmbeddingMethod):
    """A GRU over the embeddings of a window's patches predicts those of the next patches.

    A time step is a patch that is encoded by itself, as the paper does with images (section 3.3), and patches do not
    overlap. The features of a whole window would not do: those of ResNet-34 see 288 samples or more, so the
    "future" would be in the present. (BatchNorm in training still mixes all patches of a batch in its statistics.)

    Args:
        encoder: The net that learns, windows ``(B, 3, T)`` to ``(B, dim)``.
        patches: Number of patches per window, each with T // patches samples.
        steps: How many patches ahead are predicted, each by a linear map of its own.
        context: Width of the GRU.
        **kwargs: Arguments of :class:`~relcon_lightning.methods.base.Method`.

    Raises:
        ConfigError: No patch is left to predict the last step from.
    """

    def __init__(self, encoder: nn.Module, patches: int = 8, steps: int = 3, context: int = 256, **kwargs: Any) -> None:
        if not 0 < steps < patches:
            raise ConfigError(f"steps={steps} to predict in {patches} patches: expected 1 to {patches - 1}.")
        super().__init__(encoder, **kwargs)
        self.patches = patches
        self.gru = nn.GRU(self.dim, context, batch_first=True)
        self.predictors = nn.ModuleList(nn.Linear(context, self.dim, bias=False) for _ in range(steps))

    def loss(self, batch: Batch, generator: torch.Generator, stage: Stage) -> Tensor:
        """InfoNCE (Eq. 4), mean over steps; candidates are not used. Logs the share of patches told right."""
        z = self.embed(batch["anchor"])
        context = self.context(z)
        rows = torch.arange(z.shape[0] * z.shape[1], device=z.device).view(z.shape[:2])
        losses, right = [], []
        for k, predictor in enumerate(self.predictors, 1):
            scores = similarities(predictor(context[:, :-k]), z)
            target = rows[:, k:].flatten()
            losses.append(F.cross_entropy(scores, target))
            right.append((scores.argmax(1) == target).float().mean())
        self.log_values(stage, accuracy=torch.stack(right).mean())
        return torch.stack(losses).mean()

    def embed(self, windows: Tensor) -> Tensor:
        """``(B, patches, dim)`` from windows ``(B, 3, T)``; samples that fill no patch are left out at the end.

        Raises:
            ConfigError: A patch has fewer samples than the encoder needs.
        """
        n, axes, time = windows.shape
        length, least = time // self.patches, getattr(self.encoder, "shortest", 1)
        if length < least:
            raise ConfigError(
                f"{self.patches} patches in {time} samples are {length} samples each, the encoder needs {least}: set "
                f"model.method.patches to {max(time // least, 1)} or less."
            )
        patches = windows[..., : length * self.patches].reshape(n, axes, self.patches, length).transpose(1, 2)
        z: Tensor = self.encoder(patches.flatten(0, 1)).view(n, self.patches, -1)
        return z

    def context(self, z: Tensor) -> Tensor:
        """``(B, patches, context)`` summaries of each patch ``(B, patches, dim)`` and those before it."""
        summary: Tensor = self.gru(z)[0]
        return summary


def similarities(predicted: Tensor, z: Tensor) -> Tensor:
    """``(B * m, B * patches)`` products of predictions ``(B, m, E)`` with every patch ``(B, patches, E)`` of the batch.

    The log-bilinear model of Eq. 3. The other patches of the same window are negatives as well.
    """
    with torch.autocast(z.device.type, enabled=False):  # bfloat16 has two digits
        wide = torch.promote_types(z.dtype, torch.float32)
        return predicted.to(wide).flatten(0, 1) @ z.to(wide).flatten(0, 1).T
