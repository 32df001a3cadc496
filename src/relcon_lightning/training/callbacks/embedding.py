"""Monitor of the collapse of embeddings, and of the alignment of views of a window."""

from __future__ import annotations

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from relcon_lightning.augment import RandomAugmentations
from relcon_lightning.batch import CandidateBatch
from relcon_lightning.methods.base import EmbeddingMethod
from relcon_lightning.methods.sphere import alignment, diversity, uniformity


class EmbeddingMonitor(Callback):
    """Logs ``val/diversity``, ``val/alignment`` and ``val/uniformity`` of the anchors of the first validation batch.

    See :mod:`relcon_lightning.methods.sphere`. The positive of a window is a view of it with two of the eight
    augmentations, regardless of the method, so that methods can be compared. Labels are not needed.

    Args:
        seed: Seed of the views, which are the same at each validation.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.augmentation = RandomAugmentations()

    @torch.no_grad()
    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: object,
        batch: CandidateBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Measure and log. Lightning has put the module in evaluation mode."""
        if batch_idx > 0 or not isinstance(pl_module, EmbeddingMethod):
            return
        windows = batch.anchor
        generator = torch.Generator(windows.device).manual_seed(self.seed)
        z, positive = (pl_module.encoder(x) for x in (windows, self.augmentation(windows, generator)))
        pl_module.log_values("val", diversity=diversity(z), alignment=alignment(z, positive), uniformity=uniformity(z))
