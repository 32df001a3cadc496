"""Figures in the run folder: the curves, and the nearest and farthest candidates of some anchors."""

from __future__ import annotations

from pathlib import Path

import lightning as L
import numpy as np
import pandas as pd
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger

from relcon_lightning.batch import CandidateBatch
from relcon_lightning.data.store.cohort import CohortStore
from relcon_lightning.embed.windows import embed_windows
from relcon_lightning.methods.base import EmbeddingMethod, Method
from relcon_lightning.nets.base import is_distance
from relcon_lightning.reporting.curves import curves
from relcon_lightning.reporting.png import png
from relcon_lightning.reporting.ranking import ranking

_WINDOWS = 32


class Pictures(Callback):
    """Draws figures at the end of training: ``curves.png`` from the CSV log, and the neighbours of some anchors.

    ``ranking.png`` ranks the neighbours by the distance of the method, if it has one; ``ranking_embedding.png`` ranks
    them by the embedding.

    Args:
        folder: Folder of the run.
        sampling_rate: Sampling rate in Hz, for the time axis.
    """

    def __init__(self, folder: str, sampling_rate: float) -> None:
        self.folder, self.sampling_rate = Path(folder), sampling_rate
        self._batch: CandidateBatch | None = None

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: object,
        batch: CandidateBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the first batch to draw from."""
        if batch_idx == 0:
            self._batch = batch

    @torch.no_grad()
    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Draw, on the first rank."""
        if not trainer.is_global_zero:
            return
        log = next((logger for logger in trainer.loggers if isinstance(logger, CSVLogger)), None)
        if log is not None:
            log.save()
            path = Path(log.log_dir) / "metrics.csv"
            if path.exists():
                (self.folder / "curves.png").write_bytes(png(curves({"": pd.read_csv(path)})))
        if self._batch is not None and isinstance(pl_module, Method):
            self._draw_rankings(pl_module, trainer.datamodule.store)  # type: ignore[attr-defined]

    def _draw_rankings(self, method: Method, store: CohortStore) -> None:
        """Draw the same anchors twice, with neighbours ranked by the distance and by the embedding."""
        assert self._batch is not None
        windows = self._batch.anchor[:_WINDOWS]
        person = self._batch.participant[:_WINDOWS].cpu().numpy()
        rows, starts = (self._batch[name][:_WINDOWS, 0].cpu().numpy() for name in ("recording", "start"))
        label = labels_at(store, rows, starts, windows.shape[-1])
        shown = windows.cpu().numpy()
        distance = getattr(method, "distance", None)
        if is_distance(distance):
            distance.eval()
            found = distance.in_batch(windows).float().cpu().numpy()
            figure = ranking(shown, found, person, self.sampling_rate, distance.unit, label)
            (self.folder / "ranking.png").write_bytes(png(figure))
        if isinstance(method, EmbeddingMethod):
            z = embed_windows(method.encoder, shown, device=str(method.device))
            z /= np.linalg.norm(z, axis=1, keepdims=True).clip(1e-12)
            figure = ranking(
                shown, 1 - z @ z.T, person, self.sampling_rate, "units of 1 - cosine of the embeddings", label
            )
            (self.folder / "ranking_embedding.png").write_bytes(png(figure))


def labels_at(store: CohortStore, recording: np.ndarray, start: np.ndarray, window: int) -> list[str]:
    """Label of the segment that contains the middle of each window; empty if there is none.

    Args:
        store: Cohort of the windows.
        recording: Row ``(N,)`` of each window in the store's table of recordings.
        start: First sample ``(N,)`` of each window in its recording.
        window: Window length in samples.
    """
    segments = store.segments.dropna(subset=["label"])
    ids = store.recordings["recording_id"].to_numpy()[recording]
    middle = (start + window / 2) / store.sampling_rate
    found = []
    for name, second in zip(ids, middle, strict=True):
        own = segments[segments["recording_id"] == name]
        fitting = own[(own["start_s"] <= second) & (second < own["end_s"])]["label"]
        found.append(str(fitting.iloc[0]) if len(fitting) else "")
    return found
