"""Base classes of all methods: optimizer, random numbers that depend on the step, logged losses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import lightning as L
import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from relcon_lightning.batch import CandidateBatch
from relcon_lightning.errors import ConfigError
from relcon_lightning.nets.base import as_encoder

Stage = Literal["train", "val"]
DRAWS = 2  # version of the random numbers of a step, which checkpoints store; increase it when they change


class Method(L.LightningModule, ABC):
    """Base class of methods. A subclass computes the loss of a batch; Lightning trains it.

    The random numbers of a step (augmentations, dropout) are seeded with the seed of the run, the step and the rank.
    A resumed run therefore continues exactly like an uninterrupted one.

    Args:
        optimizer: Function from the trainable parameters to the optimizer.
        scheduler: Function from the optimizer to the learning-rate schedule, which is updated at each step.
        seed: Seed of augmentations and dropout.

    Attributes:
        stages_with_candidates: Stages in which batches must have candidates: ``train``, ``val``, both or none. A method
            that does not use them sets it to ``()``, and the datamodule then reads anchors alone.
    """

    stages_with_candidates: Sequence[Stage] = ("train", "val")

    def __init__(
        self,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer] = torch.optim.Adam,
        scheduler: Callable[[Optimizer], LRScheduler] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self._optimizer, self._scheduler, self.seed = optimizer, scheduler, seed

    @abstractmethod
    def loss(self, batch: CandidateBatch, generator: torch.Generator, stage: Stage) -> Tensor:
        """Compute the scalar loss of a batch of the datamodule. May log further metrics under ``stage``."""

    @abstractmethod
    def ranking(self, windows: Tensor) -> Tensor:
        """Distances ``(N, N)`` between windows ``(N, 3, T)`` as the method measures them; one row per anchor."""

    def training_step(self, batch: CandidateBatch, batch_idx: int) -> Tensor:
        """Compute the loss of one step; logs ``train/loss``."""
        return self._step(batch, self.global_step, "train")

    def validation_step(self, batch: CandidateBatch, batch_idx: int) -> Tensor:
        """Compute the loss on validation people, with the same random numbers each time; logs ``val/loss``."""
        return self._step(batch, batch_idx, "val")

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Create the optimizer of the trainable parameters and, if set, its schedule.

        Raises:
            ConfigError: The optimizer refuses an argument, or the learning rate is 0.
        """
        try:
            optimizer = self._optimizer(p for p in self.parameters() if p.requires_grad)
        except (ValueError, TypeError) as error:  # such as a learning rate below 0, or an argument it does not have
            raise ConfigError(f"model.method.optimizer: {error}.") from error
        if not any(group.get("lr", 1) for group in optimizer.param_groups):
            raise ConfigError("model.learning_rate=0: no weight would change. Give a number above 0.")
        if self._scheduler is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": self._scheduler(optimizer), "interval": "step"}}

    def _step(self, batch: CandidateBatch, step: int, stage: Stage) -> Tensor:
        seed = step_seed(self.seed, step, self.global_rank, stage)
        if stage == "train":
            torch.manual_seed(seed)
        generator = torch.Generator(self.device).manual_seed(seed)
        loss = self.loss(batch, generator, stage)
        self.log(f"{stage}/loss", loss, prog_bar=True, batch_size=len(batch), sync_dist=stage == "val")
        return loss

    def log_values(self, stage: Stage, **values: Any) -> None:
        """Log each value of the batch as ``stage/name``."""
        self.log_dict(
            {f"{stage}/{name}": value for name, value in values.items()}, sync_dist=stage == "val", batch_size=1
        )


def step_seed(seed: int, step: int, rank: int, stage: Stage) -> int:
    """Seed of the random numbers of a step, between 0 and 2**64 - 1."""
    sequence = np.random.SeedSequence((seed % 2**64, step, rank, stage == "val"))
    return int(sequence.generate_state(1, np.uint64)[0])


def require_several(windows: int, why: str) -> None:
    """Refuse batches of one window.

    Raises:
        ConfigError: There are fewer than two.
    """
    if windows < 2:
        raise ConfigError(f"data.batch_size={windows}: {why}. Set data.batch_size to 2 or more.")


class EmbeddingMethod(Method):
    """Base class of methods that train an encoder. Embeddings are compared by their cosine.

    Args:
        encoder: Network from windows ``(B, 3, T)`` to embeddings ``(B, encoder.dim)``, see
            :class:`~relcon_lightning.nets.base.Encoder`.
        **kwargs: Arguments of :class:`Method`.

    Raises:
        ConfigError: The network is not an encoder.
    """

    def __init__(self, encoder: nn.Module, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.encoder = encoder
        self.dim = as_encoder(encoder).dim  # size of the embedding

    def ranking(self, windows: Tensor) -> Tensor:
        """Cosine distances ``(N, N)`` between the embeddings of windows ``(N, 3, T)``."""
        z = torch.nn.functional.normalize(self.encoder(windows).float(), dim=-1)
        return 1 - z @ z.T
