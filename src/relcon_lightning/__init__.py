"""RelCon: relative contrastive learning for a motion foundation model, on PyTorch Lightning and Hydra."""

from typing import TYPE_CHECKING

from relcon_lightning.lazy import lazy

if TYPE_CHECKING:
    from relcon_lightning.embed import Embedder, embed_recording
    from relcon_lightning.runs.checkpoint import load_distance, load_embedding_distance, load_encoder

__all__ = ["Embedder", "embed_recording", "load_distance", "load_embedding_distance", "load_encoder"]

_MODULES = {
    "Embedder": "embed",
    "embed_recording": "embed",
    "load_distance": "runs.checkpoint",
    "load_embedding_distance": "runs.checkpoint",
    "load_encoder": "runs.checkpoint",
}
__getattr__, __dir__ = lazy(__name__, _MODULES)
