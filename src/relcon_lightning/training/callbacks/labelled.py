"""Labelled windows of validation participants, for callbacks that evaluate a method during training."""

from __future__ import annotations

import logging

import lightning as L
import numpy as np
from lightning.pytorch.callbacks import Callback

from relcon_lightning.data.datamodule import CandidateDataModule
from relcon_lightning.downstream.windows import LabelledWindows, labelled_windows
from relcon_lightning.errors import DataError

log = logging.getLogger(__name__)


class LabelledMonitor(Callback):
    """Chooses windows that are the same at each validation. Says so and does nothing without two labelled people.

    Args:
        windows: Maximum number of windows.
        seed: Seed that selects the windows.
    """

    def __init__(self, windows: int, seed: int = 0) -> None:
        self.count, self.seed = windows, seed
        self.windows: LabelledWindows | None = None

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Choose the windows."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(data, CandidateDataModule)
        try:
            windows = labelled_windows(data.store, data.window, data.window, data.split.validation)
        except DataError as error:
            log.info("No %s on validation participants: %s", type(self).__name__, error)
            return
        if len(np.unique(windows.participant)) < 2:
            log.info("No %s on validation participants: it needs two people with labels.", type(self).__name__)
            return
        chosen = np.random.default_rng(self.seed).permutation(len(windows))[: self.count]
        self.windows = windows.take(np.sort(chosen))
