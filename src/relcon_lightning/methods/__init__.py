"""The self-supervised methods, one LightningModule a file."""

from relcon_lightning.methods.augpred import AugPred
from relcon_lightning.methods.distance import DistanceLearning
from relcon_lightning.methods.rebar import Rebar
from relcon_lightning.methods.relcon import RelCon
from relcon_lightning.methods.simclr import SimCLR

__all__ = ["AugPred", "DistanceLearning", "Rebar", "RelCon", "SimCLR"]
