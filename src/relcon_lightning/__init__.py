"""RelCon: relative contrastive learning for a motion foundation model, on PyTorch Lightning and Hydra."""

from relcon_lightning.checkpoint import load_encoder

__all__ = ["load_encoder"]
