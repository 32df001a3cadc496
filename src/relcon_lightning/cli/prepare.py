"""``relcon-prepare``: convert recordings to a cohort store."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from relcon_lightning.data.download import download
from relcon_lightning.data.prepare import Reading, Source, add, existing, prepare, source_changes, summary
from relcon_lightning.data.splits import few_to_evaluate, ratio_split
from relcon_lightning.data.store.cohort import CohortStore
from relcon_lightning.data.store.parts import Part
from relcon_lightning.data.units import Divisible
from relcon_lightning.errors import ConfigError, DataError

log = logging.getLogger(__name__)


def main(config: DictConfig) -> None:
    """Write the store of ``data=...`` below ``data.root``, unless it exists."""
    path, rate = config.data.datamodule.store, config.data.sampling_rate
    part = None if config.part is None else Part.parse(str(config.part))
    if part is not None and config.add:
        raise ConfigError("add=true and part= do not go together: add the new files to the cohort with add=true alone.")
    workers = config.data.num_workers
    reading = Reading(workers or _cores(), config.store.dtype, config.on_bad_file)
    own = path if part is None else Path(path) / part.folder
    made = None if config.overwrite else existing(own, rate, config.data.verify)
    if made is None:
        source = _source(config)
        if workers > 1 and not isinstance(source, Divisible):
            log.info("data=%s is read by one process, because it is not read file by file.", config.data.name)
        made = prepare(source, path, rate, config.overwrite, reading, part)
    elif config.add:
        made = add(_source(config), made, reading)
    else:
        _tell_differences(config, made)
    log.info("Store %s: %s", made.path, summary(made))
    if part is None and len(made.segments):
        _tell_few(config, made)


def _tell_few(config: DictConfig, store: CohortStore) -> None:
    """Log if there are too few people to evaluate an encoder that is trained on them."""
    people = store.participants["participant_id"].tolist()
    try:
        split = ratio_split(people, list(config.data.ratios))
    except (ConfigError, DataError) as error:
        log.warning("No method can be trained on this cohort: %s", error)
        return
    few = few_to_evaluate(split)
    if few:
        log.warning("%s", few)


def _tell_differences(config: DictConfig, store: CohortStore) -> None:
    """Warn if an existing store differs from the one that would be written now."""
    if store.coding.dtype != config.store.dtype:
        log.warning(
            "%s contains %s, not store.dtype=%s; overwrite=true replaces it.",
            *(store.path, store.coding.dtype, config.store.dtype),
        )
    if config.data.raw_dir is None or config.part is not None:
        return
    try:
        found = source_changes(_source(config), store)
    except (ConfigError, DataError, InstantiationException, OmegaConfBaseException) as error:
        log.debug("The files of %s cannot be compared: %s", store.path, error)
        return
    if found is not None and str(found):
        log.warning(
            "%s differs from its files: %s. add=true adds new files; overwrite=true replaces the store.",
            *(store.path, found),
        )


def _cores() -> int:
    """Number of processor cores that this process may use."""
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
            f"Set data.raw_dir to the original files of {config.data.name}, or fetch them with download=true: "
            f"{archive.size} from {archive.url} ({archive.license})."
        )
    folder = Path(config.data.root) / "raw" / config.data.name
    log.info("Fetching %s (%s, %s) to %s", archive.url, archive.size, archive.license, folder)
    return str(download(archive.url, folder, archive.file, archive.sha256))
