"""``relcon-prepare``: turn recordings into a cohort store."""

from __future__ import annotations

import logging
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig

from relcon_lightning.data.download import download
from relcon_lightning.data.prepare import Source, existing, prepare, summary
from relcon_lightning.errors import ConfigError

log = logging.getLogger(__name__)


def main(config: DictConfig) -> None:
    """Write the store of ``data=...`` below ``data.root``, unless it is there already."""
    path, rate = config.data.datamodule.store, config.data.sampling_rate
    made = None if config.overwrite else existing(path, rate, config.data.verify)
    if made is None:
        made = prepare(_source(config), path, rate, config.overwrite)
    log.info("Store %s: %s", made.path, summary(made))


def _source(config: DictConfig) -> Source:
    archive = config.data.get("archive")
    if archive is not None and config.data.raw_dir is None:
        config.data.raw_dir = _fetch(config, archive)
    source: Source = instantiate(config.data.source)
    return source


def _fetch(config: DictConfig, archive: DictConfig) -> str:
    if not config.download:
        raise ConfigError(
            f"data.raw_dir must name the original files of {config.data.name}, or fetch them with download=true: "
            f"{archive.size} from {archive.url} ({archive.licence})."
        )
    folder = Path(config.data.root) / "raw" / config.data.name
    log.info("Fetching %s (%s, %s) to %s", archive.url, archive.size, archive.licence, folder)
    return str(download(archive.url, folder, archive.file, archive.sha256))
