"""``relcon-export``: write a trained encoder to a folder for publication."""

from __future__ import annotations

import logging

from omegaconf import DictConfig

from relcon_lightning.runs.export import export, push_to_hub
from relcon_lightning.runs.trust import trust

log = logging.getLogger(__name__)


def main(config: DictConfig) -> None:
    """Write the folder, and upload it on request."""
    trust(config.trust)
    options = {key: config[key] for key in ("onnx", "torch_export", "results", "license", "overwrite")}
    folder = export(config.checkpoint, config.to, **options)
    log.info("Encoder: %s", folder)
    if config.push_to_hub:
        log.info("On the hub: %s", push_to_hub(folder, config.push_to_hub, config.private))
