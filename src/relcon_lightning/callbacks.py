"""What is watched while a method trains."""

from __future__ import annotations

import logging

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback

from relcon_lightning.data.datamodule import CandidateDataModule
from relcon_lightning.downstream.metrics import retrieval_average_precision
from relcon_lightning.downstream.windows import LabelledWindows, labelled_windows
from relcon_lightning.errors import DataError
from relcon_lightning.methods.base import Method

log = logging.getLogger(__name__)


class RetrievalMonitor(Callback):
    """Logs how well a method ranks "same activity, another person" on the validation participants.

    ``val/average_precision`` is the mean over anchors of the average precision by the method's own distance (motif
    distance, or cosine of embeddings); ``val/average_precision_chance`` is what a random order gives. It needs labels
    and two validation participants; without them it says so once and stays quiet.

    Args:
        windows: At most this many, the same at every validation; the motif distance costs their square.
        seed: Which windows.
    """

    def __init__(self, windows: int = 128, seed: int = 0) -> None:
        self.count, self.seed = windows, seed
        self.windows: LabelledWindows | None = None

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Choose the windows."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(data, CandidateDataModule)
        try:
            windows = labelled_windows(data.store, data.window, data.window, data.split.validation)
        except DataError as error:
            log.info("No average precision on validation participants: %s", error)
            return
        if len(np.unique(windows.participant)) < 2:
            log.info("No average precision on validation participants: it takes two of them.")
            return
        chosen = np.random.default_rng(self.seed).permutation(len(windows))[: self.count]
        self.windows = windows.take(np.sort(chosen))

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
