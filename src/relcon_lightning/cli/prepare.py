"""``relcon-prepare``: turn recordings into a cohort store."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig

from relcon_lightning.data.download import download
from relcon_lightning.data.prepare import Source, existing, prepare, summary
from relcon_lightning.data.units import Divisible
from relcon_lightning.errors import ConfigError

log = logging.getLogger(__name__)


def main(config: DictConfig) -> None:
    """Write the store of ``data=...`` below ``data.root``, unless it is there already."""
    path, rate = config.data.datamodule.store, config.data.sampling_rate
    made = None if config.overwrite else existing(path, rate, config.data.verify)
    if made is None:
        source, workers = _source(config), config.data.num_workers
        if workers > 1 and not isinstance(source, Divisible):
            log.info("data=%s is read by one process: it does not come in files.", config.data.name)
        options = {"dtype": config.store.dtype, "on_bad_file": config.on_bad_file}
        made = prepare(source, path, rate, config.overwrite, workers or _cores(), **options)
    elif made.coding.dtype != config.store.dtype:
        log.warning(
            "%s holds %s and not store.dtype=%s; overwrite=true writes it anew.",
            *(path, made.coding.dtype, config.store.dtype),
        )
    log.info("Store %s: %s", made.path, summary(made))


def _cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
