"""Embed recordings: one embedding per window."""

from typing import TYPE_CHECKING

from relcon_lightning.lazy import lazy

if TYPE_CHECKING:
    from relcon_lightning.embed.embedder import Embedder, embed_recording
    from relcon_lightning.embed.windows import embed_windows

__all__ = ["Embedder", "embed_recording", "embed_windows"]

__getattr__, __dir__ = lazy(
    __name__, {"Embedder": "embedder", "embed_recording": "embedder", "embed_windows": "windows"}
)
