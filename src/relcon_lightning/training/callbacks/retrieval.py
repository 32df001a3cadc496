"""Monitor of retrieval: are windows of the same activity of other people ranked first?"""

from __future__ import annotations

import lightning as L
import numpy as np
import torch

from relcon_lightning.downstream.metrics import retrieval_average_precision
from relcon_lightning.methods.base import EmbeddingMethod, Method
from relcon_lightning.training.callbacks.labelled import LabelledMonitor


class RetrievalMonitor(LabelledMonitor):
    """Logs how well a method ranks "same activity, another person" on the validation participants.

    ``val/average_precision`` is the mean over anchors of the average precision with the method's own distance (motif
    distance, or cosine of embeddings). ``val/average_precision_chance`` is the value of a random order.

    Args:
        windows: Maximum number of windows.
        by_distance: Maximum number of windows for a motif distance, whose cost is quadratic.
        seed: Seed that selects the windows.
    """

    def __init__(self, windows: int = 128, by_distance: int = 48, seed: int = 0) -> None:
        super().__init__(windows, seed)
        self.by_distance = min(windows, by_distance)

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Choose the windows."""
        super().on_fit_start(trainer, pl_module)
        if self.windows is not None and not isinstance(pl_module, EmbeddingMethod):
            chosen = np.random.default_rng(self.seed).permutation(len(self.windows))[: self.by_distance]
            self.windows = self.windows.take(np.sort(chosen))

    @torch.no_grad()
    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Rank and log. Lightning has put the module in evaluation mode."""
        if self.windows is None:
            return
        assert isinstance(pl_module, Method)
        signal = torch.from_numpy(self.windows.signal).to(pl_module.device)
        distances = pl_module.ranking(signal).float().cpu().numpy()
        precision, chance, _ = retrieval_average_precision(distances, self.windows.label, self.windows.participant)
        pl_module.log_values("val", average_precision=precision, average_precision_chance=chance)
