"""Entry point of ``torch.hub``: ``torch.hub.load("OWNER/relcon-lightning", "encoder", "PATH or hf://owner/name")``."""

import sys
from pathlib import Path

dependencies = ["torch", "lightning", "hydra", "safetensors", "scipy", "pandas", "pyarrow"]
sys.path.append(str(Path(__file__).parent / "src"))


def encoder(path):  # type: ignore[no-untyped-def]
    """See :func:`relcon_lightning.load_encoder`."""
    from relcon_lightning import load_encoder

    return load_encoder(path)
