"""Contrastive predictive coding: identify the next patches of a window (van den Oord et al. 2018)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from relcon_lightning.batch import CandidateBatch
from relcon_lightning.errors import ConfigError
from relcon_lightning.methods.base import EmbeddingMethod, Stage


class CPC(EmbeddingMethod):
    """A GRU over the embeddings of a window's patches predicts the embeddings of the next patches.

    Each time step is a patch that is encoded separately, as the paper does with images (section 3.3). Patches do not
    overlap. Features of a whole window cannot be used: those of ResNet-34 see 288 samples or more, so the present
    would contain the future. (In training, the statistics of BatchNorm still mix all patches of a batch.)

    Args:
        encoder: Network to train, from windows ``(B, 3, T)`` to embeddings ``(B, dim)``.
        patches: Number of patches per window, each with T // patches samples.
        steps: Number of patches to predict, each with its own linear map.
        context: Hidden size of the GRU.
        **kwargs: Arguments of :class:`~relcon_lightning.methods.base.Method`.

    Raises:
        ConfigError: ``steps`` is not below the number of patches.
    """

    stages_with_candidates = ()

    def __init__(self, encoder: nn.Module, patches: int = 8, steps: int = 3, context: int = 256, **kwargs: Any) -> None:
        if not 0 < steps < patches:
            raise ConfigError(f"steps={steps}: {patches} patches allow 1 to {patches - 1} steps to predict.")
        super().__init__(encoder, **kwargs)
        self.patches = patches
        self.gru = nn.GRU(self.dim, context, batch_first=True)
        self.predictors = nn.ModuleList(nn.Linear(context, self.dim, bias=False) for _ in range(steps))

    def loss(self, batch: CandidateBatch, generator: torch.Generator, stage: Stage) -> Tensor:
        """InfoNCE (Eq. 4), mean over steps. Candidates are not used. Logs the accuracy over patches."""
        z = self.embed(batch.anchor)
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
        """Embed patches of windows ``(B, 3, T)`` to ``(B, patches, dim)``; an incomplete last patch is dropped.

        Raises:
            ConfigError: A patch has fewer samples than the encoder needs.
        """
        n, axes, time = windows.shape
        length, least = time // self.patches, getattr(self.encoder, "shortest", 1)
        if length < least:
            raise ConfigError(
                f"A patch has {length} of the {time} samples of a window, but the encoder needs {least}: set "
                f"model.method.patches to {max(time // least, 1)} or less."
            )
        patches = windows[..., : length * self.patches].reshape(n, axes, self.patches, length).transpose(1, 2)
        z: Tensor = self.encoder(patches.flatten(0, 1)).view(n, self.patches, -1)
        return z

    def context(self, z: Tensor) -> Tensor:
        """Summaries ``(B, patches, context)`` of each patch in ``(B, patches, dim)`` and the patches before it."""
        summary: Tensor = self.gru(z)[0]
        return summary


def similarities(predicted: Tensor, z: Tensor) -> Tensor:
    """Products ``(B * m, B * patches)`` of predictions ``(B, m, E)`` with all patches ``(B, patches, E)`` of the batch.

    This is the log-bilinear model of Eq. 3. The other patches of the same window are also negatives.
    """
    with torch.autocast(z.device.type, enabled=False):  # bfloat16 has only two digits
        wide = torch.promote_types(z.dtype, torch.float32)
        return predicted.to(wide).flatten(0, 1) @ z.to(wide).flatten(0, 1).T
