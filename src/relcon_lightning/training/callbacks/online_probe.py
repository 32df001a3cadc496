"""A probe on the frozen embedding during training."""

from __future__ import annotations

import warnings
from typing import Literal

import lightning as L
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from relcon_lightning.embed.windows import embed_windows
from relcon_lightning.errors import ConfigError
from relcon_lightning.methods.base import EmbeddingMethod
from relcon_lightning.training.callbacks.labelled import LabelledMonitor

_FOLDS = 5  # maximum number of folds; participants are not divided


class OnlineProbe(LabelledMonitor):
    """Logs ``val/<kind>_f1``: macro F1 of a probe that is fitted on some validation participants and tested on others.

    ``val/<kind>_f1_chance`` is the score of random guesses in the proportions of the classes.

    Use it to watch a run. Evaluate checkpoints on the test participants with ``relcon-eval``.

    Args:
        kind: ``knn`` is a vote among the nearest windows by cosine, weighted by similarity; ``linear`` is a logistic
            regression on standardised embeddings.
        windows: Maximum number of windows.
        neighbours: Number of neighbours of ``knn``.
        seed: Seed that selects the windows.

    Raises:
        ConfigError: ``kind`` has another value.
    """

    def __init__(
        self, kind: Literal["knn", "linear"] = "knn", windows: int = 1024, neighbours: int = 20, seed: int = 0
    ) -> None:
        if kind not in ("knn", "linear"):
            raise ConfigError(f"callbacks.online_probe.kind={kind}: expected knn or linear.")
        super().__init__(windows, seed)
        self.kind, self.neighbours = kind, neighbours

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Embed, fit and score. Lightning has put the module in evaluation mode."""
        if self.windows is None or not isinstance(pl_module, EmbeddingMethod):
            return
        z = embed_windows(pl_module.encoder, self.windows.signal, device=str(pl_module.device))
        chance = 1 / len(np.unique(self.windows.label))
        pl_module.log_values("val", **{f"{self.kind}_f1": self.score(z), f"{self.kind}_f1_chance": chance})

    def score(self, z: np.ndarray) -> float:
        """Macro F1 of embeddings ``(N, E)`` of the windows, over classes that occur."""
        assert self.windows is not None
        person, label = self.windows.participant, self.windows.label
        if self.kind == "knn":
            z = z / np.linalg.norm(z, axis=1, keepdims=True).clip(1e-12)
            model = KNeighborsClassifier(min(self.neighbours, len(z) // 2), weights="distance")
        else:
            model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=100))
        folds = GroupKFold(min(_FOLDS, len(np.unique(person))))
        with warnings.catch_warnings(), threadpool_limits(1):  # more threads would only wait for each other
            warnings.simplefilter("ignore", ConvergenceWarning)
            guess = cross_val_predict(model, z, label, groups=person, cv=folds)
        return float(f1_score(label, guess, average="macro"))
