"""Supervised training of a network on the labels of a task: baselines, fine-tuning, training from scratch."""

from __future__ import annotations

import lightning as L
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer
from torchmetrics.classification import MulticlassF1Score

from relcon_lightning.nets.base import as_encoder
from relcon_lightning.nets.heads import mlp


class Supervised(L.LightningModule):
    """A network and a head, trained with cross-entropy. Logs ``train/loss``, ``val/loss``, ``val/f1`` (macro).

    Batches are pairs of windows ``(B, 3, T)`` in g and classes ``(B,)``.

    Args:
        net: Network from windows ``(B, 3, T)`` to features ``(B, net.dim)``; it is trained as well.
        classes: Number of classes.
        learning_rate: Learning rate of Adam.
        weight_decay: Weight decay of Adam.
        hidden: Number of units of the head's hidden layer (ReLU); None: the head is a linear layer.
    """

    def __init__(
        self,
        net: nn.Module,
        classes: int,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-4,
        hidden: int | None = None,
    ) -> None:
        super().__init__()
        self.net, self.learning_rate, self.weight_decay = net, learning_rate, weight_decay
        self.head = mlp([as_encoder(net).dim, *([hidden] if hidden else []), classes])
        self.f1 = MulticlassF1Score(classes, average="macro")

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(B, classes)``."""
        logits: Tensor = self.head(self.net(x))
        return logits

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Cross-entropy of a batch."""
        x, label = batch
        loss = F.cross_entropy(self(x), label)
        self.log("train/loss", loss)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Cross-entropy and macro F1 over the validation windows."""
        x, label = batch
        logits = self(x)
        self.f1.update(logits, label)
        self.log("val/loss", F.cross_entropy(logits, label), batch_size=len(x))
        self.log("val/f1", self.f1, batch_size=len(x))

    def configure_optimizers(self) -> Optimizer:
        """Adam over all parameters."""
        return torch.optim.Adam(self.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay)
