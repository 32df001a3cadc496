"""RelCon: relative contrastive learning for a motion foundation model, on PyTorch Lightning and Hydra."""

from typing import TYPE_CHECKING

from relcon_lightning.lazy import lazy

if TYPE_CHECKING:
    from relcon_lightning.checkpoint import load_encoder
    from relcon_lightning.embed import Embedder, embed_recording

__all__ = ["Embedder", "embed_recording", "load_encoder"]

__getattr__, __dir__ = lazy(__name__, {"Embedder": "embed", "embed_recording": "embed", "load_encoder": "checkpoint"})
