"""The self-supervised methods, one LightningModule a file."""

from relcon_lightning.methods.distance import DistanceLearning
from relcon_lightning.methods.relcon import RelCon

__all__ = ["DistanceLearning", "RelCon"]
