"""Stop at the first loss, gradient or weight that is not finite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.plugins.precision import MixedPrecision
from torch import Tensor
from torch.optim import Optimizer

from relcon_lightning.batch import CandidateBatch
from relcon_lightning.errors import TrainingError

_ADVICE = (
    "The windows are finite: try a lower model.learning_rate, trainer.gradient_clip_val=1 or trainer.precision=32-true."
)


class FiniteGuard(Callback):
    """Logs ``train/grad_norm`` and stops the run before a loss or gradient that is not finite reaches the weights.

    The batch is saved for inspection. Weights that are not finite are not saved, so earlier checkpoints stay. With
    float16, only the loss is checked, because gradients may overflow (Lightning then lowers the scale and continues).

    Args:
        folder: Folder to which the batch is saved.

    Raises:
        TrainingError: A value is not finite. The message names step, file and participants.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.batch: CandidateBatch | None = None

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: CandidateBatch, batch_idx: int
    ) -> None:
        """Remember the batch."""
        self.batch = batch

    def on_before_backward(self, trainer: L.Trainer, pl_module: L.LightningModule, loss: Tensor) -> None:
        """Check the loss."""
        if not torch.isfinite(loss):
            self._stop(trainer, f"The loss is {loss.item()}")

    def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Optimizer) -> None:
        """Check the gradient and log its norm, before clipping."""
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        pl_module.log("train/grad_norm", norm)
        plugin = trainer.precision_plugin
        scaled = isinstance(plugin, MixedPrecision) and plugin.scaler is not None
        if not (scaled or torch.isfinite(norm)):
            self._stop(trainer, f"The norm of the gradient is {norm.item()}")

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: object,
        batch: CandidateBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Check the loss on validation people, before the monitors measure the network at the end of the epoch."""
        if isinstance(outputs, Tensor) and not torch.isfinite(outputs):
            raise TrainingError(f"The validation loss is {outputs.item()} after {trainer.global_step} steps. {_ADVICE}")

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Refuse to save weights that are not finite."""
        bad = next((name for name, value in checkpoint["state_dict"].items() if not value.isfinite().all()), None)
        if bad is not None:
            raise TrainingError(f"{bad} is not finite after {trainer.global_step} steps and is not saved. {_ADVICE}")

    def _stop(self, trainer: L.Trainer, what: str) -> None:
        assert self.batch is not None
        batch = self.batch.to("cpu")
        people = _participants(trainer, batch)
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"step{trainer.global_step}-rank{trainer.global_rank}.pt"
        torch.save({"step": trainer.global_step, "batch": batch.tensors(), "participants": people}, path)
        bad = sorted({name for name, broken in _broken(batch, people) if broken})
        cause = f"Windows of {', '.join(bad)} are not finite; prepare the data again." if bad else _ADVICE
        raise TrainingError(f"{what} at step {trainer.global_step}. {cause} The batch is in {path}.")


def _participants(trainer: L.Trainer, batch: CandidateBatch) -> list[str]:
    """Ids of the participants of a batch's anchors."""
    recordings: Any = trainer.datamodule.store.recordings  # type: ignore[attr-defined]
    return [str(name) for name in recordings["participant_id"].to_numpy()[batch["recording"][:, 0].numpy()]]


def _broken(batch: CandidateBatch, people: list[str]) -> list[tuple[str, bool]]:
    """For each anchor: its participant, and True if the anchor or one of its candidates is not finite."""
    anchors = ~batch.anchor.isfinite().all((1, 2))
    candidates = ~batch.candidates.isfinite().flatten(1).all(1)
    return list(zip(people, (anchors | candidates).tolist(), strict=True))
