"""A probe that trains the whole network on the labels: fine-tuning, training from scratch, supervised baselines."""

from __future__ import annotations

import logging
import math
import tempfile
import warnings
from collections.abc import Callable

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from relcon_lightning.errors import ConfigError, whole
from relcon_lightning.methods.supervised import Supervised

Nets = Callable[[int], nn.Module]
"""Function from a seed to a network for windows ``(B, 3, T)``."""


class EndToEndProbe:
    """Trains a network and a head. The epoch with the best macro F1 on the validation participants is used.

    Args:
        nets: Function from a seed to the network to train.
        learning_rate: Learning rate of Adam.
        weight_decay: Weight decay of Adam.
        batch_size: Number of windows per batch.
        max_epochs: Maximum number of epochs.
        patience: Training ends after this many epochs without a better validation score.
        accelerator: Device, as Lightning names it (``cpu``, ``gpu`` ...).
        hidden: Number of units of the head's hidden layer; None: the head is a linear layer.

    Raises:
        ConfigError: A number is too small.
    """

    def __init__(
        self,
        nets: Nets,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-4,
        batch_size: int = 64,
        max_epochs: int = 50,
        patience: int = 5,
        accelerator: str = "auto",
        hidden: int | None = None,
    ) -> None:
        whole("training.batch_size", batch_size)
        whole("training.max_epochs", max_epochs)
        whole("training.patience", patience)
        if hidden is not None:
            whole("probe.hidden", hidden)
        if not (0 < learning_rate < math.inf and 0 <= weight_decay < math.inf):
            raise ConfigError(
                f"learning_rate={learning_rate}, weight_decay={weight_decay}: expected a number above 0, and 0 or more."
            )
        self.nets, self.learning_rate, self.weight_decay = nets, learning_rate, weight_decay
        self.batch_size, self.max_epochs, self.patience = batch_size, max_epochs, patience
        self.accelerator, self.hidden = accelerator, hidden

    def fit(
        self, x: np.ndarray, label: np.ndarray, x_val: np.ndarray, label_val: np.ndarray, seed: int = 0
    ) -> EndToEndProbe:
        """Fit on windows ``(N, 3, T)``; validation windows of classes without training windows are ignored."""
        self.classes: list[str] = sorted({str(name) for name in label})
        known = np.isin(label_val, self.classes)
        generator = torch.Generator().manual_seed(seed)
        train = self._loader(x, label, shuffle=True, generator=generator)
        validation = self._loader(x_val[known], label_val[known])
        with torch.random.fork_rng(), tempfile.TemporaryDirectory() as folder, _quiet():
            torch.manual_seed(seed)
            self._model = Supervised(
                self.nets(seed).train(), len(self.classes), self.learning_rate, self.weight_decay, self.hidden
            )
            best = ModelCheckpoint(folder, monitor="val/f1", mode="max", save_weights_only=True)
            trainer = L.Trainer(
                accelerator=self.accelerator,
                devices=1,
                max_epochs=self.max_epochs,
                callbacks=[best, EarlyStopping("val/f1", mode="max", patience=self.patience)],
                logger=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                num_sanity_val_steps=0,
            )
            trainer.fit(self._model, train, validation)
            content = torch.load(best.best_model_path, weights_only=True)
        self._model.load_state_dict(content["state_dict"])
        self._model.cpu().eval()
        return self

    @torch.no_grad()
    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """Probabilities ``(N, C)`` of windows ``(N, 3, T)``, with columns in the order of ``classes``."""
        batches = torch.split(torch.from_numpy(x), 256)
        return torch.cat([self._model(batch).softmax(1) for batch in batches]).double().numpy()

    def _loader(
        self, x: np.ndarray, label: np.ndarray, shuffle: bool = False, generator: torch.Generator | None = None
    ) -> DataLoader[tuple[Tensor, ...]]:
        windows = TensorDataset(torch.from_numpy(x), torch.from_numpy(np.searchsorted(self.classes, label)))
        # A last batch with one window has no batch statistics.
        drop = shuffle and len(windows) % self.batch_size == 1
        return DataLoader(windows, self.batch_size, shuffle=shuffle, generator=generator, drop_last=drop)


class _quiet:
    """Silence Lightning's messages about each of many short trainings."""

    def __enter__(self) -> None:
        self.warnings = warnings.catch_warnings()
        self.warnings.__enter__()
        warnings.simplefilter("ignore")
        self.levels = {name: logging.getLogger(name).level for name in ("lightning.pytorch", "lightning.fabric")}
        for name in self.levels:
            logging.getLogger(name).setLevel(logging.ERROR)

    def __exit__(self, *_: object) -> None:
        for name, level in self.levels.items():
            logging.getLogger(name).setLevel(level)
        self.warnings.__exit__(None, None, None)
