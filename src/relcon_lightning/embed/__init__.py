"""From recordings to one embedding a window."""

from relcon_lightning.embed.embedder import Embedder, embed_recording

__all__ = ["Embedder", "embed_recording"]
