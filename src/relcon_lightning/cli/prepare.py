"""``relcon-prepare``: turn recordings into a cohort store."""

from __future__ import annotations

import logging

from hydra.utils import instantiate
from omegaconf import DictConfig

from relcon_lightning.cli.app import command
from relcon_lightning.data.prepare import prepare

log = logging.getLogger(__name__)


@command("prepare")
def main(config: DictConfig) -> None:
    """Write the store of ``data=...`` below ``data.root``, unless it is there already."""
    prepare(
        instantiate(config.data.source),
        config.data.datamodule.store,
        sampling_rate=config.data.sampling_rate,
        overwrite=config.overwrite,
    )


if __name__ == "__main__":
    main()
