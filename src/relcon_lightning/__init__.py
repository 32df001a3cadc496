"""RelCon: relative contrastive learning for a motion foundation model, on PyTorch Lightning and Hydra."""

from relcon_lightning.checkpoint import load_encoder
from relcon_lightning.embed import Embedder, embed_recording

__all__ = ["Embedder", "embed_recording", "load_encoder"]
