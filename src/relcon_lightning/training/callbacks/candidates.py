"""Monitor of the distribution of distances between anchors and candidates."""

from __future__ import annotations

import lightning as L
import torch
import wandb
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import WandbLogger
from torch import Tensor

from relcon_lightning.batch import CandidateBatch
from relcon_lightning.nets.base import WindowDistance, is_distance

QUANTILES = (0.1, 0.5, 0.9)


class CandidateMonitor(Callback):
    """Logs the distances of candidates to their anchors in the first validation batch (motif distances: in g^2).

    ``val/distance_<whose>_q<percent>`` are quantiles, and W&B gets whole histograms. ``whose`` is ``within`` for
    candidates of the anchor's participant and ``between`` for others. Logs nothing for methods without a distance.
    """

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
        distance = getattr(pl_module, "distance", None)
        if batch_idx > 0 or not is_distance(distance):
            return
        for whose, values in candidate_distances(distance, batch).items():
            if not len(values):
                continue
            marks = torch.quantile(values, torch.tensor(QUANTILES, device=values.device))
            names = [f"distance_{whose}_q{round(100 * q)}" for q in QUANTILES]
            pl_module.log_values("val", **dict(zip(names, marks, strict=True)))  # type: ignore[operator]
            _histogram(trainer, f"val/distance_{whose}", values)


def candidate_distances(distance: WindowDistance, batch: CandidateBatch) -> dict[str, Tensor]:
    """Distances of a batch in two flat tensors, ``within`` and ``between`` participants."""
    anchor, candidates, person = batch.anchor, batch.candidates, batch.participant
    others = ~torch.eye(len(anchor), dtype=torch.bool, device=anchor.device)
    same = person[:, None] == person
    in_batch = distance.in_batch(anchor).float()
    within = [in_batch[same & others]]
    if candidates.shape[1]:
        within.append(distance.pairwise(anchor, candidates).float().flatten())
    return {"within": torch.cat(within), "between": in_batch[~same]}


def _histogram(trainer: L.Trainer, name: str, values: Tensor) -> None:
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger) and trainer.is_global_zero:
            picture = wandb.Histogram(values.tolist())
            logger.experiment.log({name: picture, "trainer/global_step": trainer.global_step})
