"""What every method shares: an optimizer from the config, randomness fixed by the step, logged losses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, Literal, cast

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from relcon_lightning.errors import ConfigError

Stage = Literal["train", "val"]
Batch = dict[str, Tensor]


class Method(L.LightningModule, ABC):
    """A method turns a batch into a loss; Lightning does the rest.

    Random numbers of a step (augmentations, dropout) are seeded from the run's seed, the step and the rank, so that a
    resumed run goes on exactly as an uninterrupted one.

    Args:
        optimizer: Function from the trainable parameters to the optimizer.
        scheduler: Function from the optimizer to the learning-rate schedule, which is updated at each step.
        seed: Seed of augmentations and dropout.
    """

    def __init__(
        self,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer] = torch.optim.Adam,
        scheduler: Callable[[Optimizer], LRScheduler] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self._optimizer, self._scheduler, self.seed = optimizer, scheduler, seed

    @abstractmethod
    def loss(self, batch: Batch, generator: torch.Generator, stage: Stage) -> Tensor:
        """The scalar loss of a batch of the datamodule; further metrics of the batch may be logged under ``stage``."""

    @abstractmethod
    def ranking(self, windows: Tensor) -> Tensor:
        """``(N, N)`` distances between windows ``(N, 3, T)`` by which the method judges likeness; row = anchor."""

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """One step; logs ``train/loss``."""
        return self._step(batch, self.global_step, "train")

    def validation_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss on people not trained on, with the same random numbers each time; logs ``val/loss``."""
        return self._step(batch, batch_idx, "val")

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The optimizer over the parameters that learn and, if set, its schedule."""
        try:
            optimizer = self._optimizer(p for p in self.parameters() if p.requires_grad)
        except ValueError as error:  # such as a learning rate below 0
            raise ConfigError(f"model.method.optimizer: {error}.") from error
        if self._scheduler is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": self._scheduler(optimizer), "interval": "step"}}

    def _step(self, batch: Batch, step: int, stage: Stage) -> Tensor:
        seed = hash((self.seed, step, self.global_rank, stage == "val")) % 2**63
        if stage == "train":
            torch.manual_seed(seed)
        generator = torch.Generator(self.device).manual_seed(seed)
        loss = self.loss(batch, generator, stage)
        self.log(f"{stage}/loss", loss, prog_bar=True, batch_size=len(batch["anchor"]), sync_dist=stage == "val")
        return loss

    def log_values(self, stage: Stage, **values: Any) -> None:
        """Log ``stage/name`` for each value of the batch."""
        self.log_dict(
            {f"{stage}/{name}": value for name, value in values.items()}, sync_dist=stage == "val", batch_size=1
        )


def positive(name: str, value: float) -> float:
    """The value, if it is a finite number above 0.

    Raises:
        ConfigError: It is not; names the key.
    """
    if not 0 < value < float("inf"):
        raise ConfigError(f"{name}={value}: expected a finite number above 0.")
    return value


class EmbeddingMethod(Method):
    """A method that trains an encoder; what it learns is judged by cosine distances of embeddings."""

    def __init__(self, encoder: nn.Module, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.encoder = encoder
        self.dim = cast(int, encoder.dim)  # of the embedding

    def ranking(self, windows: Tensor) -> Tensor:
        """``(N, N)`` cosine distances of the embeddings of windows ``(N, 3, T)``."""
        z = torch.nn.functional.normalize(self.encoder(windows).float(), dim=-1)
        return 1 - z @ z.T
