"""Self-supervised methods, one LightningModule per file."""

from relcon_lightning.methods.augpred import AugPred
from relcon_lightning.methods.autoencoder import Autoencoder
from relcon_lightning.methods.byol import BYOL
from relcon_lightning.methods.cpc import CPC
from relcon_lightning.methods.distance import DistanceLearning
from relcon_lightning.methods.mae import MAE
from relcon_lightning.methods.rebar import Rebar
from relcon_lightning.methods.relcon import RelCon
from relcon_lightning.methods.simclr import SimCLR
from relcon_lightning.methods.simsiam import SimSiam

__all__ = [
    "BYOL",
    "CPC",
    "MAE",
    "AugPred",
    "Autoencoder",
    "DistanceLearning",
    "Rebar",
    "RelCon",
    "SimCLR",
    "SimSiam",
]
