"""Embed recordings: one embedding per window."""

from relcon_lightning.embed.embedder import Embedder, embed_recording
from relcon_lightning.embed.windows import embed_windows

__all__ = ["Embedder", "embed_recording", "embed_windows"]
